"""Take a cleansing back: old values return where nobody changed the new ones since."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.datasets.facts import Column, Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import holds
from ocd.ledger.run import Run
from ocd.quality.cleanse import statements

log = logging.getLogger(__name__)

BATCH_ROWS = 1_000
#: Keys of rows that were left alone, as many as the evidence names.
EVIDENCE_KEYS = 200

_COUNT = sql.SQL("""
    select count(*), count(*) filter (where {untouched} and {free}) from ocd.cleansing_change c
    left join {table} t on t.{key} = c.row_key
    where c.run_id = {of} and c.reverted_at is null
""")
_REVERT = sql.SQL("""
    with picked as materialized (
      select c.id, c.row_key, c.before, c.after from ocd.cleansing_change c
      where c.run_id = {of} and c.reverted_at is null and c.id > {behind}
      order by c.id limit {limit} for update
    ), mended as (
      update {table} t set {sets} from picked c where t.{key} = c.row_key and {untouched} and {free}
      returning c.id
    ), noted as (
      update ocd.cleansing_change c set reverted_at = clock_timestamp(), reverted_by_run_id = {run_id}
      from mended where c.id = mended.id returning c.id
    )
    select (select max(id) from picked), (select count(*) from picked), (select count(*) from noted)
""")
_LEFT = text("""
    select row_key from ocd.cleansing_change where run_id = :of and reverted_at is null order by row_key limit :limit
""")


@dataclass(frozen=True)
class RevertReport:
    """How many rows have their old values again, and which were left alone.

    A row is left alone where a mended value was changed since, where it is gone, or held.
    """

    version: ClassVar[int] = 1
    dataset: str
    of_run: int
    is_dry: bool
    rows: int
    conflicts: int
    conflict_keys: tuple[int, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would be reverted" if self.is_dry else "reverted"
        left = (
            f", {self.conflicts:,} left alone: changed since, gone or held"
            if self.conflicts
            else ""
        )
        return f"{self.rows:,} rows of {self.dataset} {verb}{left}"


def rehearse(conn: Connection, of_run: int) -> RevertReport:
    """Return what a revert of the run would do now. Changes nothing."""
    dataset = _dataset_of(conn, of_run)
    conn.execute(text("set local row_security = off"))
    columns = _columns(conn, dataset, of_run)
    row = (
        statements.cursor_of(conn)
        .execute(
            _COUNT.format(
                table=statements.table_of(dataset),
                key=sql.Identifier(dataset.key),
                of=sql.Literal(of_run),
                untouched=_untouched(dataset, columns),
                free=holds.free(dataset, "t"),
            )
        )
        .fetchone()
    )
    conn.rollback()
    assert row is not None, "an aggregate gives a row"  # noqa: S101
    return RevertReport(dataset.name, of_run, True, row[1], row[0] - row[1], ())


def revert(
    conn: Connection, of_run: int, *, run: Run, batch_rows: int = BATCH_ROWS
) -> RevertReport:
    """Give the rows that a run mended their old values back, and list those that it left alone.

    What was reverted before is not again; commits every batch. Raises ConfigError for a run that
    mended nothing, or whose changes are past retention.
    """
    dataset = _dataset_of(conn, of_run)
    columns = _columns(conn, dataset, of_run)
    conn.rollback()
    mark = run.checkpoint or {"behind": 0, "rows": 0}
    behind, rows = int(mark["behind"]), int(mark["rows"])
    while True:
        with run.batch(conn) as batch:
            statements.be_careful(conn)
            last, picked, done = _revert(conn, dataset, columns, of_run, run.id, behind, batch_rows)
            behind, rows = last or behind, rows + done
            batch.progress(rows, None, dataset.name)
            batch.checkpoint = {"behind": behind, "rows": rows}
        if picked < batch_rows:
            break
    left = conn.execute(
        text(
            "select count(*) from ocd.cleansing_change where run_id = :of and reverted_at is null"
        ),
        {"of": of_run},
    ).scalar_one()
    keys = conn.execute(_LEFT, {"of": of_run, "limit": EVIDENCE_KEYS}).scalars()
    report = RevertReport(dataset.name, of_run, False, rows, left, tuple(keys))
    conn.rollback()
    log.info("reverted", extra={"dataset": dataset.name, "rows": rows, "conflicts": left})
    return report


def _revert(
    conn: Connection,
    dataset: Dataset,
    columns: tuple[Column, ...],
    of_run: int,
    run_id: int,
    behind: int,
    batch_rows: int,
) -> tuple[int | None, int, int]:
    """Revert one batch; returns its last change, how many it looked at, how many it took back."""
    query = _REVERT.format(
        table=statements.table_of(dataset),
        key=sql.Identifier(dataset.key),
        of=sql.Literal(of_run),
        run_id=sql.Literal(run_id),
        behind=sql.Literal(behind),
        limit=sql.Literal(batch_rows),
        sets=sql.SQL(", ").join(_set(one) for one in columns),
        untouched=_untouched(dataset, columns),
        free=holds.free(dataset, "t"),
    )
    row = statements.cursor_of(conn).execute(query).fetchone()
    assert row is not None, "a select without a table gives a row"  # noqa: S101
    return row[0], row[1], row[2]


def _set(column: Column) -> sql.Composed:
    name = sql.Literal(column.name)
    return sql.SQL("{column} = case when c.before ? {name} then {old} else t.{column} end").format(
        column=sql.Identifier(column.name),
        name=name,
        old=statements.cast_of(column, f"c.before ->> '{column.name}'"),
    )


def _untouched(dataset: Dataset, columns: tuple[Column, ...]) -> sql.Composed:
    """Return the condition of rows that are there and hold every new value still."""
    same = [
        sql.SQL(
            "(not c.after ? {name} or t.{column}::text is not distinct from c.after ->> {name})"
        ).format(name=sql.Literal(one.name), column=sql.Identifier(one.name))
        for one in columns
    ]
    there = sql.SQL("t.{} is not null").format(sql.Identifier(dataset.key))
    return sql.SQL(" and ").join([there, *same])


def _dataset_of(conn: Connection, of_run: int) -> Dataset:
    name = conn.execute(
        text("select dataset from ocd.cleansing_change where run_id = :of limit 1"), {"of": of_run}
    ).scalar()
    if name is None:
        raise ConfigError(
            f"run {of_run} mended nothing that is still kept; `ocd runs --job quality.cleanse` lists those that did"
        )
    return dataset_named(name)


def _columns(conn: Connection, dataset: Dataset, of_run: int) -> tuple[Column, ...]:
    names = conn.execute(
        text(
            "select distinct jsonb_object_keys(before) from ocd.cleansing_change where run_id = :of"
        ),
        {"of": of_run},
    ).scalars()
    known = set(names)
    return tuple(one for one in dataset.columns if one.name in known)
