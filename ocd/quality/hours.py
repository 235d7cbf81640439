"""Hours of the shop's week, and what earlier weeks let expect of one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from ocd.stats.expected import Expected, expected_count

HOUR = timedelta(hours=1)
#: Earlier weeks that are looked at: enough for a middle, few enough to follow a trend.
WEEKS = 8


@dataclass(frozen=True)
class Seen:
    """Rows that an hour brought."""

    hour_at: datetime
    rows: int


def hours_between(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the begin of each hour that passes, also where clocks are changed."""
    at = start.astimezone(UTC)
    while at < end:
        yield at
        at += HOUR


def place_of(hour_at: datetime, zone: tzinfo) -> tuple[int, int]:
    """Return where in the shop's week an hour lies: weekday (0 is Monday) and hour of its clock."""
    local = hour_at.astimezone(zone)
    return local.weekday(), local.hour


def expectations(
    earlier: Iterable[Seen], hours: Iterable[datetime], *, zone: tzinfo
) -> dict[datetime, Expected | None]:
    """Return per hour what the same hour of earlier weeks lets expect; None while too few are known."""
    places: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in earlier:
        places[place_of(one.hour_at, zone)].append(one.rows)
    return {hour: expected_count(places[place_of(hour, zone)]) for hour in hours}


def expected_day(earlier: Iterable[Seen], day_start: datetime, *, zone: tzinfo) -> Expected | None:
    """Return what the same weekday of earlier weeks lets expect of a whole day."""
    weekday = day_start.astimezone(zone).weekday()
    days: dict[object, float] = defaultdict(float)
    for one in earlier:
        local = one.hour_at.astimezone(zone)
        if local.weekday() == weekday:
            days[local.date()] += one.rows
    return expected_count(list(days.values()))
