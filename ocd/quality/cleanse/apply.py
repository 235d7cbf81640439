"""Apply a plan: exactly what it says, in fenced batches, every old and new value kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.ledger import approvals, holds
from ocd.ledger.run import Run
from ocd.quality.cleanse import plan as plans
from ocd.quality.cleanse import policy, statements
from ocd.quality.cleanse.plan import KeptPlan
from ocd.quality.cleanse.policy import CleansingPlan
from ocd.quality.cleanse.statements import Mended

log = logging.getLogger(__name__)

BATCH_ROWS = 1_000

# What is written is what the table holds afterwards: a trigger may have its own say.
_MEND = sql.SQL("""
    with picked as materialized (
      select t.{key} as row_key, {conversation} as conversation_id, {values} from {source}
      where t.{key} > {after} and t.{key} <= {last_key} and ({faulty}) and {free}
      order by t.{key} limit {limit} for update of t
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
    returning row_key
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
            conn.execute(text("set local row_security = off"))
            conn.execute(text("set local lock_timeout = '2s'"))
            conn.execute(text("set local statement_timeout = '60s'"))
            keys = _mend(conn, kept, run, after, batch_rows)
            if keys:
                after, rows = max(keys), rows + len(keys)
            batch.progress(rows, kept.rows, kept.dataset.name)
            batch.checkpoint = mark | {"after": after, "rows": rows}
        if len(keys) < batch_rows:
            return rows


def _mend(conn: Connection, kept: KeptPlan, run: Run, after: int, batch_rows: int) -> list[int]:
    """Mend one batch behind a key; returns the keys of its rows. The caller commits."""
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
        last_key=sql.Literal(kept.last_key),
        limit=sql.Literal(batch_rows),
        run_id=sql.Literal(run.id),
        dataset=sql.Literal(dataset.name),
    )
    return [row[0] for row in statements.cursor_of(conn).execute(query)]


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
