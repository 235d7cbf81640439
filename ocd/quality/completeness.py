"""Count what each hour brought, against what earlier weeks let expect; nulls per column beside it."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Interval,
    cast,
    column,
    func,
    literal,
    select,
    table,
    text,
)

from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset
from ocd.ledger.run import Run
from ocd.ledger.windows import Window
from ocd.quality.hours import HOUR, WEEKS, Seen, expectations, expected_day, hours_between
from ocd.stats.expected import Expected, expected

log = logging.getLogger(__name__)

_HOURS = statement(__file__, "list_hours.sql")
#: A share of nulls that was always the same may still move this far.
NULL_SPREAD = 0.02
#: Tables and columns that the evidence names; the table `ocd.completeness` has them all.
EVIDENCE_LINES = 30


@dataclass(frozen=True)
class Hour:
    """One hour of a dataset: rows, what was expected, and how many rows lack a value per column."""

    hour_at: datetime
    seen: int
    expected: float | None
    least: float | None
    nulls: Mapping[str, int]

    @property
    def is_short(self) -> bool:
        """Whether unusually little came."""
        return self.least is not None and self.seen < self.least


@dataclass(frozen=True)
class Short:
    """A day that brought less than usual, or hours of it that did."""

    dataset: str
    seen: int
    expected: float | None
    short_hours: int
    is_whole_day: bool

    @property
    def text(self) -> str:
        """It in words."""
        if self.is_whole_day:
            return f"{self.dataset}: {self.seen:,} rows, about {self.expected:,.0f} expected"
        return f"{self.dataset}: {self.short_hours} hours with fewer rows than usual"


@dataclass(frozen=True)
class OddNulls:
    """A column whose share of nulls is not what it used to be."""

    dataset: str
    column: str
    share: float
    usual: float


@dataclass(frozen=True)
class CompletenessReport:
    """What a day brought, and where that is less than usual; how many tables may have lost rows of it since."""

    version: ClassVar[int] = 2
    rows: int
    tables: int
    short: tuple[Short, ...]
    odd_nulls: tuple[OddNulls, ...]
    past_retention: int = 0

    @property
    def summary(self) -> str:
        """One line for people."""
        said = [one.text for one in self.short[:2]]
        said += [
            f"{one.dataset}.{one.column}: nulls {one.usual:.0%} → {one.share:.0%}"
            for one in self.odd_nulls[:2]
        ]
        found = len(self.short) + len(self.odd_nulls)
        counted = f"{self.rows:,} rows of the day in {self.tables} tables"
        if self.past_retention:
            counted += f", {self.past_retention} not counted: past retention"
        return (
            f"{counted}: {found} unusual ({'; '.join(said)})" if found else f"{counted}: as usual"
        )


@dataclass
class _Findings:
    short: list[Short] = field(default_factory=list)
    odd: list[OddNulls] = field(default_factory=list)


def measure(
    conn: Connection, datasets: Sequence[Dataset], *, run: Run, zone: tzinfo, now: datetime
) -> CompletenessReport:
    """Count each table's rows of the window per hour, keep them, compare with earlier weeks.

    A row belongs to the hour of its dataset's event time. Measuring a window again replaces what was
    kept of it; a table that may have lost rows of it to retention is not measured. Commits per table.
    """
    rows, found = 0, _Findings()
    whole = [one for one in datasets if not _is_past_retention(one, run.window, now)]
    for number, dataset in enumerate(whole, start=1):
        with run.batch(conn) as batch:
            hours = _look(conn, dataset, run.window, zone, found)
            _keep(conn, dataset, run, hours)
            batch.progress(number, len(whole), "tables")
        rows += sum(one.seen for one in hours)
    log.info("measured_completeness", extra={"rows": rows, "short": len(found.short)})
    found.short.sort(key=lambda one: (not one.is_whole_day, -one.short_hours, one.dataset))
    return CompletenessReport(
        rows,
        len(whole),
        tuple(found.short[:EVIDENCE_LINES]),
        tuple(found.odd[:EVIDENCE_LINES]),
        len(datasets) - len(whole),
    )


def _is_past_retention(dataset: Dataset, window: Window, now: datetime) -> bool:
    """Whether a purge may have taken rows of the window: the rest would pass for all that came."""
    rules = dataset.retention.rules if dataset.retention else ()
    keeps = [one.keep for one in rules if one.keep is not None]
    return bool(keeps) and window.start < now - min(keeps)


def history(conn: Connection, dataset: Dataset, *, since: datetime, until: datetime) -> list[Hour]:
    """Return what is kept of a dataset's hours, oldest first."""
    rows = conn.execute(_HOURS, {"dataset": dataset.name, "since": since, "until": until})
    return [
        Hour(row.hour_at, row.seen, _float(row.expected), _float(row.least), row.nulls)
        for row in rows
    ]


def by_day(hours: Iterable[Hour], zone: tzinfo) -> dict[date, list[Hour]]:
    """Return the hours by the shop's day."""
    days: dict[date, list[Hour]] = defaultdict(list)
    for one in hours:
        days[one.hour_at.astimezone(zone).date()].append(one)
    return dict(days)


def null_shares(hours: Iterable[Hour]) -> dict[str, float]:
    """Return per column the share of the hours' rows without a value; nothing where there are no rows."""
    nulls: dict[str, int] = defaultdict(int)
    rows = 0
    for one in hours:
        rows += one.seen
        for name, count in one.nulls.items():
            nulls[name] += count
    return {name: count / rows for name, count in nulls.items()} if rows else {}


def _look(
    conn: Connection, dataset: Dataset, window: Window, zone: tzinfo, found: _Findings
) -> list[Hour]:
    """Count the window's hours and note what is unusual about them."""
    earlier = history(
        conn, dataset, since=window.start - timedelta(weeks=WEEKS, days=1), until=window.start
    )
    seen = [Seen(one.hour_at, one.seen) for one in earlier]
    counted = _count(conn, dataset, window)
    hours = []
    due = expectations(seen, hours_between(window.start, window.end), zone=zone)
    for hour_at, usual in due.items():
        rows, nulls = counted.get(hour_at, (0, {}))
        value, least = (usual.value, usual.low) if usual else (None, None)
        hours.append(Hour(hour_at, rows, value, least, nulls))
    found.short += _short(dataset, hours, expected_day(seen, window.start, zone=zone))
    found.odd += _odd_nulls(dataset, hours, by_day(earlier, zone))
    return hours


def _count(
    conn: Connection, dataset: Dataset, window: Window
) -> dict[datetime, tuple[int, dict[str, int]]]:
    """Return per hour that brought any: rows, and rows without a value per column that may lack one."""
    # A login that row security would filter gets an error, not fewer rows.
    conn.execute(text("set local row_security = off"))
    at: ColumnElement[datetime] = column(dataset.event_time, DateTime(timezone=True))
    start = cast(literal(window.start), DateTime(timezone=True))
    hour = func.date_bin(cast(literal(HOUR), Interval), at, start).label("hour_at")
    optional = [one.name for one in dataset.columns if one.nullable]
    missing = [func.count() - func.count(column(name)) for name in optional]
    query = (
        select(hour, func.count(), *missing)
        .select_from(table(dataset.relation, schema=dataset.schema))
        .where(at >= window.start, at < window.end)
        .group_by(hour)
    )
    return {
        row[0]: (row[1], dict(zip(optional, row[2:], strict=True))) for row in conn.execute(query)
    }


def _short(dataset: Dataset, hours: list[Hour], day: Expected | None) -> list[Short]:
    seen = sum(one.seen for one in hours)
    short_hours = sum(one.is_short for one in hours)
    is_whole_day = day is not None and seen < day.low
    if not (short_hours or is_whole_day):
        return []
    return [Short(dataset.name, seen, day.value if day else None, short_hours, is_whole_day)]


def _odd_nulls(
    dataset: Dataset, hours: list[Hour], earlier: Mapping[date, list[Hour]]
) -> list[OddNulls]:
    days = [null_shares(day) for day in earlier.values()]
    found = []
    for name, share in null_shares(hours).items():
        usual = expected([day[name] for day in days if name in day], least_spread=NULL_SPREAD)
        if usual and not usual.holds(share):
            found.append(OddNulls(dataset.name, name, round(share, 4), round(usual.value, 4)))
    return found


def _keep(conn: Connection, dataset: Dataset, run: Run, hours: list[Hour]) -> None:
    conn.execute(
        text(
            "delete from ocd.completeness where dataset = :dataset and hour_at >= :start and hour_at < :end"
        ),
        {"dataset": dataset.name, "start": run.window.start, "end": run.window.end},
    )
    conn.execute(
        text("""
            insert into ocd.completeness (run_id, dataset, hour_at, seen, expected, least, nulls)
            values (:run_id, :dataset, :hour_at, :seen, :expected, :least, cast(:nulls as jsonb))
        """),
        [_row(dataset, run, one) for one in hours],
    )


def _row(dataset: Dataset, run: Run, one: Hour) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "dataset": dataset.name,
        "hour_at": one.hour_at,
        "seen": one.seen,
        "expected": one.expected,
        "least": one.least,
        "nulls": json.dumps(dict(one.nulls)),
    }


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
