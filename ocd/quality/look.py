"""Ask rules in one snapshot, table by table; changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from ocd.ledger.run import Run
from ocd.quality import apart, cost, results
from ocd.quality.apart import Reader
from ocd.quality.policy import Known, Mode, Outcome, Plan, Status, only_new, plan
from ocd.quality.rule import Kind, Rule
from ocd.quality.scan import View, scan

log = logging.getLogger(__name__)

#: Of the server, per join or grouping: keys of a million rows fit, so that nothing goes to its disk.
WORK_MEM = "64MB"


@dataclass(frozen=True)
class Checked:
    """One table: what came of its rules, rows looked at, its highest key, statements that it took.

    `refusal` says why it was not looked at, and how to have it looked at all the same.
    """

    dataset: str
    outcomes: tuple[Outcome, ...]
    rows: int = 0
    high_key: int | None = None
    statements: int = 0
    refusal: str | None = None


def look(
    conn: Connection,
    rules: Sequence[Rule],
    *,
    run: Run | None,
    now: datetime,
    mode: Mode,
    reader: Engine | None,
    dear: float | None = None,
    max_cost: float | None = None,
) -> list[Checked]:
    """Ask the rules in one read-only snapshot that is closed again; changes nothing.

    In mode `auto` a table whose scan the planner thinks dearer than `max_cost` is not read.
    """
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    # A login that row security would filter gets an error, not a clean bill for rows unseen.
    conn.execute(text("set local row_security = off"))
    conn.execute(text(f"set local work_mem = '{WORK_MEM}'"))
    snapshot = conn.execute(text("select pg_export_snapshot()")).scalar_one()
    with_login = None if reader is None else Reader(reader, snapshot)
    view = View(now, results.proofs(conn))
    known = results.known(conn, now=now)
    plans = plan(rules, view.proofs)
    tables = []
    for number, one in enumerate(plans):
        if run is not None:
            run.progress(number, len(plans), one.source.name)
        before = known.get(one.source.name, Known())
        chosen = _view(conn, one, view, before, mode, dear)
        limit = max_cost if mode is Mode.AUTO else None
        refusal = _refusal(conn, one, chosen, limit)
        tables.append(
            _table(conn, one, chosen, with_login) if refusal is None else _left_out(one, refusal)
        )
    conn.rollback()
    return tables


def _view(
    conn: Connection, one: Plan, view: View, before: Known, mode: Mode, dear: float | None
) -> View:
    """Decide which rows are looked at; the planner is asked only where that may matter."""
    if not one.scan or before.high_key is None or mode is Mode.FULL:
        return view
    total = cost.of(conn, one.source, one.scan, view)
    limit = {} if dear is None else {"dear": dear}
    is_new = only_new(mode, before, cost=total, now=view.now, **limit)
    return replace(view, above=before.high_key) if is_new else view


def _refusal(conn: Connection, one: Plan, view: View, limit: float | None) -> str | None:
    """Say why a table is not looked at: the planner is asked, nothing is read."""
    if not limit or not one.scan:
        return None
    total = cost.of(conn, one.source, one.scan, view)
    if total <= limit:
        return None
    return (
        f"{one.source.name} was not asked: its scan costs {total:,.0f} by the planner, more than "
        f"OCD_QUALITY_MAX_COST={limit:,.0f}; `ocd quality run --dataset {one.source.name}` asks it anyway"
    )


def _left_out(one: Plan, refusal: str) -> Checked:
    """Return a table that was not looked at; what a constraint holds is so without looking."""
    log.warning("too_dear", extra={"dataset": one.source.name})
    outcomes = [Outcome(rule, Status.PROVEN) for rule in one.proven]
    outcomes += [Outcome(rule, Status.WAITING, detail=refusal) for rule in (*one.scan, *one.apart)]
    return Checked(one.source.name, tuple(outcomes), refusal=refusal)


def _table(conn: Connection, one: Plan, view: View, reader: Reader | None) -> Checked:
    """Ask everything of one table."""
    is_new = view.above is not None
    outcomes = [Outcome(rule, Status.PROVEN) for rule in one.proven]
    later = [rule for rule in (*one.scan, *one.apart) if is_new and _needs_every_row(rule)]
    outcomes += [
        Outcome(rule, Status.WAITING, detail="asked of all rows, once a week") for rule in later
    ]
    asked = [rule for rule in one.scan if rule not in later]
    rows, high_key, statements = 0, view.above, 0
    if asked:
        scanned = scan(conn, one.source, asked, view)
        rows, statements = scanned.rows, scanned.statements
        high_key = scanned.high_key if scanned.high_key is not None else view.above
        outcomes += scanned.outcomes
    for rule in one.apart:
        if rule not in later:
            outcome, more = apart.ask(conn, rule, view, reader, rows=rows)
            outcomes.append(outcome)
            statements += more
    log.info("checked", extra={"dataset": one.source.name, "rows": rows, "only_new": is_new})
    return Checked(one.source.name, tuple(outcomes), rows, high_key, statements)


def _needs_every_row(rule: Rule) -> bool:
    return rule.is_of_table or rule.kind in {Kind.UNIQUE, Kind.SQL}
