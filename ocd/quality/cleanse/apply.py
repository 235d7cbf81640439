"""Apply a plan: exactly what it says, in fenced batches, every old and new value kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg import sql
from sqlalchemy import Connection

from ocd.ledger import approvals, holds
from ocd.ledger.run import Run
from ocd.quality.cleanse import plan as plans
from ocd.quality.cleanse import policy, statements
from ocd.quality.cleanse.plan import KeptPlan
from ocd.quality.cleanse.policy import CleansingPlan
from ocd.quality.cleanse.statements import Mended

log = logging.getLogger(__name__)

#: Rows that a batch looks at, faulty or not: each costs the same, however few are faulty.
BATCH_ROWS = 2_000

_WINDOW = sql.SQL("""
    select max(key) from (
      select {key} as key from {table} where {key} > {after} and {key} <= {last_key} order by {key} limit {limit}
    ) ahead
""")
# What is written is what the table holds afterwards: a trigger may have its own say.
_MEND = sql.SQL("""
    with picked as materialized (
      select t.{key} as row_key, {conversation} as conversation_id, {values} from {source}
      where t.{key} > {after} and t.{key} <= {until} and ({faulty}) and {free}
      order by t.{key} for update of t
    ), mended as (
      update {table} t set {sets} from picked where t.{key} = picked.row_key
      returning t.{key} as row_key, {afters}
    )
    insert into ocd.cleansing_change (run_id, dataset, row_key, conversation_id, before, after)
    select {run_id}, {dataset}, picked.row_key, picked.conversation_id, pair.before, pair.after
    from picked join mended using (row_key), lateral (
      select jsonb_object_agg(name, was) as before, jsonb_object_agg(name, became) as after
      from (values {pairs}) changed(name, was, became) where was is distinct from became
    ) pair
    order by picked.row_key
""")


@dataclass(frozen=True)
class CleansingReport:
    """How many rows were mended, or would be, and by which fix how many."""

    version: ClassVar[int] = 1
    dataset: str
    plan: str
    is_dry: bool
    rows: int
    planned: int
    fixes: Mapping[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would be mended" if self.is_dry else "mended"
        named = ", ".join(f"{name.partition('.')[2]} {n:,}" for name, n in self.fixes.items() if n)
        return f"{self.rows:,} rows of {self.dataset} {verb}" + (f" ({named})" if named else "")


def rehearse(conn: Connection, plan_hash: str) -> CleansingReport:
    """Return what applying the plan now would mend; refuses as `apply` would. Changes nothing."""
    kept = plans.kept(conn, plan_hash)
    found = _recount(conn, kept)
    conn.rollback()
    return _report(kept, found, found.rows, is_dry=True)


def apply(
    conn: Connection, plan_hash: str, *, run: Run, batch_rows: int = BATCH_ROWS
) -> CleansingReport:
    """Mend what the plan says; goes on behind the last committed batch of an earlier attempt.

    Raises PolicyRefused where rows changed since the plan was made, ApprovalNeeded where it passes a
    limit. A plan whose rows are mended already changes nothing. Commits every batch.
    """
    kept = plans.kept(conn, plan_hash)
    mark = run.checkpoint
    if mark is None:
        found = _recount(conn, kept)
        conn.rollback()
        approvals.require(
            conn,
            run,
            fingerprint=found.hash,
            asks=policy.asks(found),
            question=policy.question(found),
        )
        mark = {"after": _before_first(conn, kept), "rows": 0, "fixes": dict(found.counts)}
    rows = _mend_all(conn, kept, run, mark, batch_rows)
    log.info("cleansed", extra={"dataset": kept.dataset.name, "rows": rows})
    return CleansingReport(kept.dataset.name, kept.hash, False, rows, kept.rows, mark["fixes"])


def _recount(conn: Connection, kept: KeptPlan) -> CleansingPlan:
    """Count again what the plan speaks of; nothing left is fine, anything else but the plan is refused."""
    found = plans.plan(conn, kept.fixes, last_key=kept.last_key)
    if found.rows:
        policy.require_same(kept.hash, found)
    return found


def _report(kept: KeptPlan, found: CleansingPlan, rows: int, *, is_dry: bool) -> CleansingReport:
    return CleansingReport(kept.dataset.name, kept.hash, is_dry, rows, kept.rows, found.counts)


def _before_first(conn: Connection, kept: KeptPlan) -> int:
    """Return a key below every row's."""
    query = sql.SQL("select coalesce(min({}), 0) - 1 from {}").format(
        sql.Identifier(kept.dataset.key), statements.table_of(kept.dataset)
    )
    row = statements.cursor_of(conn).execute(query).fetchone()
    conn.rollback()
    return int(row[0]) if row else 0


def _mend_all(
    conn: Connection, kept: KeptPlan, run: Run, mark: dict[str, object], batch_rows: int
) -> int:
    after, rows = int(str(mark["after"])), int(str(mark["rows"]))
    while True:
        with run.batch(conn) as batch:
            statements.be_careful(conn)
            until = _until(conn, kept, after, batch_rows)
            if until is not None:
                rows, after = rows + _mend(conn, kept, run, after, until), until
            batch.progress(rows, kept.rows, kept.dataset.name)
            batch.checkpoint = mark | {"after": after, "rows": rows}
        if until is None:
            return rows


def _until(conn: Connection, kept: KeptPlan, after: int, batch_rows: int) -> int | None:
    """Return the last of so many keys behind one; None where the plan speaks of no more."""
    query = _WINDOW.format(
        key=sql.Identifier(kept.dataset.key),
        table=statements.table_of(kept.dataset),
        after=sql.Literal(after),
        last_key=sql.Literal(kept.last_key),
        limit=sql.Literal(batch_rows),
    )
    row = statements.cursor_of(conn).execute(query).fetchone()
    return row[0] if row else None


def _mend(conn: Connection, kept: KeptPlan, run: Run, after: int, until: int) -> int:
    """Mend the rows between two keys; returns how many. The caller commits."""
    dataset, columns = kept.dataset, statements.columns_of(kept.fixes)
    query = _MEND.format(
        key=sql.Identifier(dataset.key),
        table=statements.table_of(dataset),
        source=statements.mended(dataset, columns),
        conversation=statements.conversation_of(dataset),
        faulty=statements.is_faulty(columns),
        free=holds.free(dataset, "t"),
        values=_listed("{old} as {was}, {new} as {becomes}", columns),
        sets=_listed("{column} = picked.{becomes}", columns),
        afters=_listed("t.{column}::text as {became}", columns),
        pairs=_listed("({name}, picked.{was}::text, mended.{became})", columns),
        after=sql.Literal(after),
        until=sql.Literal(until),
        run_id=sql.Literal(run.id),
        dataset=sql.Literal(dataset.name),
    )
    return statements.cursor_of(conn).execute(query).rowcount


def _listed(template: str, columns: tuple[Mended, ...]) -> sql.Composed:
    """Return the template once per column, separated by commas."""
    return sql.SQL(", ").join(
        sql.SQL(template).format(
            old=statements.expression(one.old),
            new=statements.expression(one.new),
            column=sql.Identifier(one.column),
            name=sql.Literal(one.column),
            was=sql.Identifier(f"was_{one.column}"),
            becomes=sql.Identifier(f"becomes_{one.column}"),
            became=sql.Identifier(f"became_{one.column}"),
        )
        for one in columns
    )
