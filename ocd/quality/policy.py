"""Decide what is asked how, and what the answers mean; no database, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ocd.quality.rule import APART, Dimension, Kind, Rule, Severity, Slo, Source

#: A scan that the planner thinks dearer than this looks at new rows only, where it may.
DEAR = 500_000.0
#: However dear, every row is looked at once in so long: an old row may have been changed.
FULL_EVERY = timedelta(days=7)

#: How much a rule counts in the score of its table.
WEIGHTS = {Severity.INFO: 0, Severity.WARN: 1, Severity.ERROR: 3, Severity.BLOCK: 5}
#: A composite score below these is a warning, is critical.
SCORE_WARN, SCORE_CRIT = 80.0, 60.0


class Mode(StrEnum):
    """Which rows are asked: `auto` takes the new ones where all would be dear and were asked lately."""

    AUTO = "auto"
    FULL = "full"
    NEW = "new"


class Status(StrEnum):
    """What came of asking a rule."""

    PASSED = "passed"
    FAILED = "failed"
    PROVEN = "proven"  # a constraint or index of the database holds it
    BROKEN = "broken"  # its SQL could not be carried out
    WAITING = "waiting"  # not asked now: too dear, or only of all rows


@dataclass(frozen=True)
class Proofs:
    """What the database itself holds: unique column sets, and references that were validated."""

    unique: frozenset[tuple[str, frozenset[str]]] = frozenset()
    references: frozenset[tuple[str, tuple[str, ...], str, tuple[str, ...]]] = frozenset()

    def is_unique(self, table: str, columns: Iterable[str]) -> bool:
        """Whether no two rows of the table can be equal in these columns."""
        wanted = frozenset(columns)
        return any(one == table and names <= wanted for one, names in self.unique)

    def holds(self, rule: Rule) -> bool:
        """Whether no row can fail the rule."""
        if rule.kind is Kind.UNIQUE:
            return rule.filter is None and self.is_unique(rule.source.table, rule.columns)
        if rule.kind is not Kind.REFERENCE:
            return False
        pairs = sorted(zip(rule.columns, rule.params["to"], strict=True))
        wanted = (
            rule.source.table,
            tuple(one for one, _ in pairs),
            rule.params["table"],
            tuple(other for _, other in pairs),
        )
        return wanted in self.references


@dataclass(frozen=True)
class Plan:
    """What is asked of one table: in its one scan, apart from it, and what needs no asking."""

    source: Source
    scan: tuple[Rule, ...] = ()
    apart: tuple[Rule, ...] = ()
    proven: tuple[Rule, ...] = ()


def plan(rules: Iterable[Rule], proofs: Proofs) -> list[Plan]:
    """Return one plan per table, in the order in which the rules name them."""
    groups: dict[Source, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.source, []).append(rule)
    return [_plan_of(source, found, proofs) for source, found in groups.items()]


def _plan_of(source: Source, rules: Sequence[Rule], proofs: Proofs) -> Plan:
    proven = tuple(one for one in rules if proofs.holds(one))
    open_ = [one for one in rules if one not in proven]
    return Plan(
        source,
        scan=tuple(one for one in open_ if one.kind not in APART),
        apart=tuple(one for one in open_ if one.kind in APART),
        proven=proven,
    )


@dataclass(frozen=True)
class Known:
    """What earlier checks of a table left: the highest key, and when every row was last asked."""

    high_key: int | None = None
    full_at: datetime | None = None


def only_new(mode: Mode, known: Known, *, cost: float, now: datetime, dear: float = DEAR) -> bool:
    """Whether only rows above the highest known key are asked."""
    if mode is Mode.FULL or known.high_key is None or known.full_at is None:
        return False
    if now - known.full_at >= FULL_EVERY:
        return False
    return mode is Mode.NEW or cost > dear


@dataclass(frozen=True)
class Outcome:
    """What came of asking one rule: rows asked and failed, or a measured number; keys of some."""

    rule: Rule
    status: Status
    rows: int = 0
    failed: int = 0
    value: float | None = None
    keys: tuple[int, ...] = ()
    took_s: float = 0.0
    is_only_new: bool = False
    detail: str | None = None

    @property
    def share(self) -> float:
        """Share of what was asked that failed; a rule about the table fails whole."""
        if not self.failed:
            return 0.0
        return 1.0 if self.rule.is_of_table or not self.rows else min(1.0, self.failed / self.rows)

    @property
    def is_finding(self) -> bool:
        """Whether somebody should look."""
        return self.status in {Status.FAILED, Status.BROKEN}


def judged(rule: Rule, *, rows: int, failed: int) -> Status:
    """Say whether so many failures are a finding."""
    return Status.PASSED if rule.tolerance.allows(failed, rows) else Status.FAILED


def worst_first(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return findings, the gravest first; among equals the most rows."""
    order = list(Severity)
    found = [one for one in outcomes if one.is_finding]
    return sorted(
        found, key=lambda one: (-order.index(one.rule.severity), -one.failed, one.rule.id)
    )


@dataclass(frozen=True)
class Point:
    """One earlier or present answer, as scores and budgets need it."""

    dataset: str
    dimension: Dimension
    severity: Severity
    share: float


def scores(points: Iterable[Point]) -> dict[tuple[str, Dimension | None], float]:
    """Return 0 to 100 per (table, dimension), and per (table, None) over all of its dimensions.

    The weighted mean share of what is good; a rule that only informs counts nothing.
    """
    sums: dict[tuple[str, Dimension | None], tuple[float, float]] = {}
    for one in points:
        weight = WEIGHTS[one.severity]
        for key in ((one.dataset, one.dimension), (one.dataset, None)):
            good, total = sums.get(key, (0.0, 0.0))
            sums[key] = (good + weight * (1 - one.share), total + weight)
    return {key: 100 * good / total for key, (good, total) in sums.items() if total}


def burn(slo: Slo, answers: Sequence[tuple[int, int]]) -> float | None:
    """Return how much of the allowed failures was used: 1 is all of it; None where nothing was asked.

    `answers` are (rows, failed) of the checks in the SLO's days. Where nothing may fail, one failure
    uses it up.
    """
    rows = sum(asked for asked, _ in answers)
    if not rows:
        return None
    bad = sum(failed for _, failed in answers) / rows
    allowed = 1 - slo.target
    if allowed <= 0:
        return float(bad > 0)
    return bad / allowed


@dataclass(frozen=True)
class Series:
    """What was measured of one rule before: (instant, number), oldest first."""

    points: tuple[tuple[datetime, float], ...] = field(default=())


def series_of(rows: Iterable[tuple[str, datetime, float]]) -> dict[str, Series]:
    """Group (rule, instant, number) by rule."""
    found: dict[str, list[tuple[datetime, float]]] = {}
    for rule, at, number in rows:
        found.setdefault(rule, []).append((at, number))
    return {name: Series(tuple(points)) for name, points in found.items()}
