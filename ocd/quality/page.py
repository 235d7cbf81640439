"""The dashboard of a check: one HTML file that asks nothing of the network.

Numbers only: counts, shares and keys; no value of a row stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ocd.core.pages import render
from ocd.quality import results
from ocd.quality.policy import SCORE_CRIT, SCORE_WARN, Point, scores
from ocd.quality.rule import Dimension, Rule, Severity

TREND_DAYS = 30
#: Answers that a page is drawn from: TREND_DAYS of a few checks a day.
MAX_ANSWERS = 50_000
#: A score from here on is all but perfect.
SCORE_GOOD = 99.5
#: A table's trend is drawn from here up to 100, or from lower where it was: scores differ in their last digits.
TREND_FLOOR = 95.0
_WIDTH, _HEIGHT = 120.0, 24.0
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """A score of the heat map; None where no rule looks at that side of the table."""

    score: float | None

    @property
    def grade(self) -> str:
        """Its colour's name; the number stands beside it, so no colour says anything alone."""
        if self.score is None:
            return "none"
        if self.score >= SCORE_GOOD:
            return "good"
        if self.score >= SCORE_WARN:
            return "fair"
        return "warn" if self.score >= SCORE_CRIT else "crit"

    @property
    def text(self) -> str:
        """The score, rounded down: only what is perfect reads 100."""
        return "-" if self.score is None else f"{int(self.score * 10) / 10:g}"


@dataclass(frozen=True)
class Trend:
    """Numbers of days, oldest first, drawn as a line from `low` to `high`."""

    points: tuple[tuple[date, float], ...]
    low: float
    high: float

    @property
    def line(self) -> str:
        """Coordinates for an SVG polyline."""
        if not self.points:
            return ""
        first = self.points[0][0]
        span = max((self.points[-1][0] - first).days, 1)
        reach = (self.high - self.low) or 1.0
        return " ".join(
            f"{_WIDTH * (day - first).days / span:.1f},"
            f"{_HEIGHT * (1 - (value - self.low) / reach):.1f}"
            for day, value in self.points
        )

    def told(self, is_measured: bool) -> str:
        """Say its ends and its extremes in words; what is not measured is a share."""
        values = [value for _, value in self.points]
        ends = (values[0], values[-1], min(values), max(values))
        first, last, least, most = (
            f"{one:.4g}" if is_measured else f"{one:.2%}".replace("%", " %") for one in ends
        )
        return f"{first} on {self.points[0][0]}, now {last}; from {least} to {most}"

    def change(self, days: int) -> float | None:
        """Return how much the newest number differs from the one so many days before, or the first after."""
        if len(self.points) < 2:
            return None
        since = self.points[-1][0] - timedelta(days=days)
        return self.points[-1][1] - next(value for day, value in self.points if day >= since)


@dataclass(frozen=True)
class Table:
    """A line of the heat map with its trend, and its rules, worst first."""

    name: str
    cells: tuple[Cell, ...]
    overall: Cell
    trend: Trend
    rules: tuple[Answer, ...]


@dataclass(frozen=True)
class Answer:
    """A rule with its newest answer, its past, and how much of what may fail did."""

    rule: Rule
    last: Row
    trend: Trend
    budget: float | None

    @property
    def is_finding(self) -> bool:
        """Whether somebody should look."""
        return self.last["status"] in {"failed", "broken"}

    @property
    def is_measured(self) -> bool:
        """Whether its trend is of a measured number, not of the share that failed."""
        return self.last["value"] is not None


def page(
    rules: Sequence[Rule],
    history: Sequence[Row],
    *,
    now: datetime,
    run_id: int,
    gates: Sequence[Row] = (),
    stops: Sequence[str] = (),
) -> bytes:
    """Return the page of a check: `history` newest first, `stops` names the jobs that gates hold back."""
    tables = tables_of(rules, history, now=now)
    findings = [one for table in tables for one in table.rules if one.is_finding]
    return render.render(
        __file__,
        "page.html",
        now=now,
        run_id=run_id,
        dimensions=list(Dimension),
        tables=tables,
        findings=sorted(findings, key=_gravity),
        gates=gates,
        shut={one["dataset"] for one in gates},
        stops=stops,
        good=SCORE_GOOD,
        warn=int(SCORE_WARN),
        crit=int(SCORE_CRIT),
        rules=sum(len(table.rules) for table in tables),
        width=_WIDTH,
        height=_HEIGHT,
    )


def tables_of(rules: Sequence[Rule], history: Sequence[Row], *, now: datetime) -> list[Table]:
    """Put the answers of the last TREND_DAYS together, table by table, the worst first."""
    known = {one.id: one for one in rules}
    by_rule: dict[str, list[Row]] = {}
    for row in history:
        if row["rule"] in known and row["status"] != "waiting":
            by_rule.setdefault(row["rule"], []).append(row)
    answers = [_answer(known[name], rows, now) for name, rows in by_rule.items()]
    newest = scores(_point(one.rule, one.last) for one in answers)
    daily = _daily(known, history)
    names = sorted(
        {one.rule.source.name for one in answers},
        key=lambda name: (newest.get((name, None), 100), name),
    )
    return [_table(name, answers, newest, daily) for name in names]


def _table(
    name: str,
    answers: Sequence[Answer],
    newest: Mapping[tuple[str, Dimension | None], float],
    daily: Mapping[str, tuple[tuple[date, float], ...]],
) -> Table:
    mine = sorted((one for one in answers if one.rule.source.name == name), key=_gravity)
    cells = tuple(Cell(newest.get((name, one))) for one in Dimension)
    points = daily.get(name, ())
    trend = Trend(points, min([TREND_FLOOR, *(score for _, score in points)]), 100)
    return Table(name, cells, Cell(newest.get((name, None))), trend, tuple(mine))


def _answer(rule: Rule, rows: Sequence[Row], now: datetime) -> Answer:
    last_of_day: dict[date, float] = {}
    for row in reversed(rows):
        number = row["share"] if row["value"] is None else row["value"]
        last_of_day[row["checked_at"].date()] = number
    values = last_of_day.values()
    trend = Trend(tuple(sorted(last_of_day.items())), min(0.0, *values, 0.0), max(*values, 0.0))
    return Answer(rule, rows[0], trend, results.budget_used(rows, rule, now=now))


def _daily(
    known: Mapping[str, Rule], history: Sequence[Row]
) -> dict[str, tuple[tuple[date, float], ...]]:
    """Return the score of each table by day, from the last answers of that day."""
    days: dict[date, dict[str, Row]] = {}
    for row in history:
        if row["rule"] in known and row["status"] != "waiting":
            days.setdefault(row["checked_at"].date(), {}).setdefault(row["rule"], row)
    found: dict[str, list[tuple[date, float]]] = {}
    for day in sorted(days):
        of_day = scores(_point(known[name], row) for name, row in days[day].items())
        for (table, dimension), score in of_day.items():
            if dimension is None:
                found.setdefault(table, []).append((day, score))
    return {table: tuple(points) for table, points in found.items()}


def _point(rule: Rule, row: Row) -> Point:
    share = 1.0 if row["status"] == "broken" else row["share"]
    return Point(rule.source.name, rule.dimension, rule.severity, share)


def _gravity(one: Answer) -> tuple[bool, int, int, str]:
    grave = list(Severity).index(one.rule.severity)
    return not one.is_finding, -grave, -one.last["failed_rows"], one.rule.id
