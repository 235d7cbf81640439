"""The memory of checks: what came of asking each rule, how it went before, what is unusual about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection

from ocd.core.sqlfiles import statement
from ocd.quality.policy import Known, Outcome, Proofs, Series, Status, burn, series_of
from ocd.quality.rule import Kind, Rule
from ocd.stats.bounds import Bounds, seasonal

_INSERT = statement(__file__, "insert_result.sql")
_KNOWN = statement(__file__, "list_known.sql")
_SERIES = statement(__file__, "list_series.sql")
_HISTORY = statement(__file__, "list_history.sql")
_UNIQUE = statement(__file__, "list_unique.sql")
_REFERENCES = statement(__file__, "list_references.sql")

#: What is usual is learned from so many days.
LEARN_DAYS = 90


@dataclass(frozen=True)
class Judged:
    """An outcome beside what was usual before."""

    outcome: Outcome
    usual: Bounds | None = None
    number: float | None = None

    @property
    def is_unusual(self) -> bool:
        """Whether the number lies outside; fewer failures than usual are nothing to look at."""
        if self.usual is None or self.number is None:
            return False
        if self.outcome.value is None:
            return self.number > self.usual.high
        return not self.usual.hold(self.number)


def proofs(conn: Connection) -> Proofs:
    """Read which column sets are unique, and which references were validated."""
    unique = frozenset((row.table, frozenset(row.columns)) for row in conn.execute(_UNIQUE))
    references = frozenset(
        (row.table, tuple(row.columns), row.parent, tuple(row.to))
        for row in conn.execute(_REFERENCES)
    )
    return Proofs(unique, references)


def known(conn: Connection, *, now: datetime) -> dict[str, Known]:
    """Return what earlier checks left, per dataset."""
    rows = conn.execute(_KNOWN, {"now": now})
    return {row.dataset: Known(row.high_key, row.full_at) for row in rows}


def judge(conn: Connection, outcomes: Iterable[Outcome], *, now: datetime) -> list[Judged]:
    """Put each outcome beside what was usual over LEARN_DAYS."""
    found = list(outcomes)
    versions = [one.rule.version for one in found]
    rows = conn.execute(_SERIES, {"now": now, "versions": versions, "days": LEARN_DAYS})
    series = series_of((row.rule, row.checked_at, row.number) for row in rows)
    return [_beside(one, series.get(one.rule.id, Series()), now) for one in found]


def _beside(outcome: Outcome, series: Series, now: datetime) -> Judged:
    if outcome.is_only_new or outcome.status not in {Status.PASSED, Status.FAILED}:
        return Judged(outcome)
    number = outcome.share if outcome.value is None else outcome.value
    points = series.points
    if outcome.rule.kind is Kind.VOLUME and points:
        # A table that grows is never as large as usual; what it grows by may be.
        number -= points[-1][1]
        points = _growth(points)
    return Judged(outcome, seasonal(points, now), number)


def _growth(points: Sequence[tuple[datetime, float]]) -> tuple[tuple[datetime, float], ...]:
    return tuple((when, value - before) for (_, before), (when, value) in pairwise(points))


def keep(
    conn: Connection,
    judged: Sequence[Judged],
    *,
    run_id: int,
    now: datetime,
    high_keys: Mapping[str, int | None],
) -> None:
    """Keep what came of every rule. The caller commits."""
    if judged:
        conn.execute(_INSERT, [_row(one, run_id, now, high_keys) for one in judged])


def _row(
    one: Judged, run_id: int, now: datetime, high_keys: Mapping[str, int | None]
) -> dict[str, Any]:
    outcome, rule = one.outcome, one.outcome.rule
    return {
        "run_id": run_id,
        "checked_at": now,
        "dataset": rule.source.name,
        "rule": rule.id,
        "rule_version": rule.version,
        "dimension": rule.dimension.value,
        "severity": rule.severity.value,
        "status": outcome.status.value,
        "is_only_new": outcome.is_only_new,
        "asked_rows": outcome.rows,
        "failed_rows": outcome.failed,
        "share": outcome.share,
        "value": outcome.value,
        "usual_low": one.usual.low if one.usual else None,
        "usual_high": one.usual.high if one.usual else None,
        "is_unusual": one.is_unusual,
        "sample_keys": list(outcome.keys),
        "high_key": high_keys.get(rule.source.name),
        "took_ms": round(1000 * outcome.took_s, 3),
        "detail": outcome.detail,
    }


def history(
    conn: Connection,
    *,
    now: datetime,
    rule: str | None = None,
    dataset: str | None = None,
    days: int = 30,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Return what came of asking, newest first."""
    rows = conn.execute(
        _HISTORY, {"rule": rule, "dataset": dataset, "now": now, "days": days, "limit": limit}
    )
    return [dict(row) for row in rows.mappings()]


def budget_used(rows: Iterable[Mapping[str, Any]], rule: Rule, *, now: datetime) -> float | None:
    """Return how much of what may fail in the days of the rule's SLO did, from its history."""
    since = now - timedelta(days=rule.promised.days)
    answers = [
        (1, one["failed_rows"]) if rule.is_of_table else (one["asked_rows"], one["failed_rows"])
        for one in rows
        if one["checked_at"] > since and one["status"] in {"passed", "failed"}
    ]
    return burn(rule.promised, answers)
