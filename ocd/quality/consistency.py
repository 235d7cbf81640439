"""Look for rows without their counterpart, and for figures that should agree and do not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    TableClause,
    and_,
    column,
    func,
    select,
    table,
    text,
)

from ocd.ledger.run import Run
from ocd.ledger.windows import Window
from ocd.quality.references import Reconciliation, Reference

log = logging.getLogger(__name__)

#: Keys of rows without a counterpart that are kept per check.
SAMPLE_KEYS = 10
#: Figures of a reconciliation that are kept, those that differ first.
MOST_FIGURES = 20


@dataclass(frozen=True)
class Checked:
    """What one check found; `figures` maps an item to its two sides."""

    name: str
    checked: int
    broken: int
    sample_keys: tuple[int, ...] = ()
    figures: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class ConsistencyReport:
    """Every check, those that found something first."""

    version: ClassVar[int] = 1
    rows: int
    broken: int
    checks: tuple[Checked, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        found = [one for one in self.checks if one.broken]
        said = f"{len(self.checks)} checks over {self.rows:,} rows and figures"
        if not found:
            return f"{said}: all agree"
        named = ", ".join(f"{one.name} {one.broken:,}" for one in found[:4])
        return f"{said}: {len(found)} found something ({named})"


def check(
    conn: Connection,
    references: Iterable[Reference],
    reconciliations: Iterable[Reconciliation],
    *,
    run: Run,
    now: datetime,
) -> ConsistencyReport:
    """Make every check as of the run's window and keep what each found. Commits once."""
    with run.batch(conn) as batch:
        # A login that row security would filter gets an error, not parents that seem to be missing.
        conn.execute(text("set local row_security = off"))
        found = [look_up(conn, one, run.window) for one in references]
        found += [reconcile(conn, one, run.window) for one in reconciliations]
        conn.execute(text("delete from ocd.consistency where run_id = :id"), {"id": run.id})
        for one in found:
            keep(conn, one, run_id=run.id, now=now)
        batch.progress(len(found), len(found), "checks")
    log.info("checked_consistency", extra={"checks": len(found)})
    found.sort(key=lambda one: (-one.broken, one.name))
    return ConsistencyReport(
        sum(one.checked for one in found), sum(one.broken for one in found), tuple(found)
    )


def look_up(conn: Connection, reference: Reference, window: Window) -> Checked:
    """Count rows whose counterpart is missing, in one scan of both tables; keys of some only then."""
    child, parent = _child(reference), _parent(reference)
    joined = child.outerjoin(
        parent,
        and_(
            *(
                child.c[one] == parent.c[other]
                for one, other in zip(reference.columns, reference.to, strict=True)
            )
        ),
    )
    asked: list[ColumnElement[bool]] = [child.c[one].is_not(None) for one in reference.columns]
    if reference.within is not None:
        asked.append(child.c[reference.child.event_time] >= window.end - reference.within)
    present: ColumnElement[Any] = parent.c[reference.to[0]]
    query = select(func.count(), func.count(present)).select_from(joined).where(*asked)
    rows, found = conn.execute(query).one()
    if rows == found:
        return Checked(reference.name, rows, 0)
    key = child.c[reference.child.key]
    orphans = select(key).select_from(joined).where(*asked, present.is_(None)).order_by(key)
    keys = conn.execute(orphans.limit(SAMPLE_KEYS)).scalars()
    return Checked(reference.name, rows, rows - found, tuple(keys))


def reconcile(conn: Connection, what: Reconciliation, window: Window) -> Checked:
    """Compare the two sides of each figure."""
    bounds = {"start": window.start, "end": window.end}
    figures = {
        str(row.item): (_float(row.left_value), _float(row.right_value))
        for row in conn.execute(what.statement, bounds)
    }
    differ = {name for name, sides in figures.items() if not _agree(*sides, what.tolerance)}
    shown = sorted(figures, key=lambda name: (name not in differ, name))[:MOST_FIGURES]
    return Checked(
        what.name, len(figures), len(differ), figures={name: figures[name] for name in shown}
    )


def keep(conn: Connection, found: Checked, *, run_id: int | None, now: datetime) -> None:
    """Keep what a check found; the caller commits."""
    conn.execute(
        text("""
            insert into ocd.consistency (run_id, check_name, checked, broken, sample_keys, figures, checked_at)
            values (:run_id, :name, :checked, :broken, :keys, cast(:figures as jsonb), :now)
        """),
        {
            "run_id": run_id,
            "name": found.name,
            "checked": found.checked,
            "broken": found.broken,
            "keys": list(found.sample_keys),
            "figures": json.dumps(found.figures),
            "now": now,
        },
    )


def history(conn: Connection, name: str | None = None, *, limit: int = 30) -> list[dict[str, Any]]:
    """Return what the checks found, newest first: one check's past, or the newest of each."""
    newest = "distinct on (check_name)" if name is None else ""
    order = "check_name, checked_at desc, id desc" if name is None else "checked_at desc, id desc"
    rows = conn.execute(
        text(f"""
            select {newest} check_name, checked_at, checked, broken, sample_keys, figures, run_id
            from ocd.consistency where cast(:name as text) is null or check_name = :name
            order by {order} limit :limit
        """),  # noqa: S608 - two constants
        {"name": name, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def _child(reference: Reference) -> TableClause:
    facts = reference.child
    names = {facts.key, facts.event_time, *reference.columns}
    return table(facts.relation, *map(column, sorted(names)), schema=facts.schema)


def _parent(reference: Reference) -> Subquery:
    """Return the parent's keys, each once, so that no child is counted twice."""
    schema, name = reference.parent.split(".", 1)
    source = table(name, *map(column, reference.to), schema=schema)
    return select(*source.c).distinct().subquery("parent")


def _agree(left: float | None, right: float | None, tolerance: float) -> bool:
    if left is None or right is None:
        return left == right
    return abs(left - right) <= tolerance * max(abs(left), abs(right))


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
