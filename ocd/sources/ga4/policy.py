"""Decide what to read again, and whether a request may be sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: Google restates standard reports for 24 to 48 hours (GA4 help, data freshness); a day more for the zone.
PROVISIONAL = timedelta(days=3)
#: Days before the window's that every night reads again, so that each is read once more when it is final …
DAILY_DAYS = 3
#: … and those that a Sunday's does, for late restatements.
WEEKLY_DAYS = 28
SUNDAY = 6
#: What was read within this time is not read again by a neighbour.
FRESH = timedelta(hours=12)


def is_provisional(day: date, now: datetime) -> bool:
    """Whether Google may still restate the day."""
    return now - datetime(day.year, day.month, day.day, tzinfo=UTC) < PROVISIONAL


def ends_at(day: date, zone: str | None) -> datetime:
    """Return when the day is over in the property's time zone; UTC where it is not known."""
    midnight = datetime.combine(day + DAY, time(), ZoneInfo(zone) if zone else UTC)
    return midnight.astimezone(UTC)


@dataclass(frozen=True)
class Stored:
    """A partition as it stands."""

    report: str
    day: date
    fetched_at: datetime
    is_provisional: bool


def trailing_days(day: date) -> int:
    """Return how many days before this one its refresh looks at again."""
    return WEEKLY_DAYS if day.weekday() == SUNDAY else DAILY_DAYS


def to_read_again(day: date, stored: Iterable[Stored], now: datetime) -> list[Stored]:
    """Return the partitions before `day` that are to be read again, oldest first.

    Only what is stored: a day that was never read is a backfill's. A Sunday takes final ones too.
    """
    is_weekly = trailing_days(day) == WEEKLY_DAYS
    due = (
        one for one in stored if now - one.fetched_at >= FRESH and (one.is_provisional or is_weekly)
    )
    return sorted(due, key=lambda one: (one.day, one.report))


@dataclass(frozen=True)
class Quota:
    """One of a property's quotas: the API's name for it, what a standard property has, and what is left to others."""

    name: str
    limit: int
    period: timedelta
    spare: int
    counts: str = "tokens"  # tokens, requests or errors


#: Limits of a standard property (Data API quotas page, 2026). A tenth is left to people; of the server
#: errors a half, because the last one locks everybody out. A property of Google Analytics 360 has more,
#: and its answers say so.
QUOTAS = (
    Quota("tokensPerDay", 200_000, DAY, 20_000),
    Quota("tokensPerHour", 40_000, HOUR, 4_000),
    Quota("tokensPerProjectPerHour", 14_000, HOUR, 1_400),
    Quota("potentiallyThresholdedRequestsPerHour", 120, HOUR, 12, "requests"),
    Quota("serverErrorsPerProjectPerHour", 10, HOUR, 5, "errors"),
)
#: Ten may be under way at once; two are left to people.
CONCURRENT = "concurrentRequests"
MAX_CONCURRENT = 8
CONCURRENT_S = 30.0
#: What a request costs while nothing is known of its report; simple ones cost ten or less.
FIRST_TOKENS = 20

#: Which quota is exhausted stands only in the message; seconds until it opens again. The first match
#: counts, and most messages say "hour" as well, so the narrow words come first. None: not today.
_MESSAGES = (
    ("per day", "tokensPerDay", None),
    ("24 hours", "tokensPerDay", None),
    ("concurrent requests", CONCURRENT, CONCURRENT_S),
    ("server errors", "serverErrorsPerProjectPerHour", 3600.0),
    ("thresholded", "potentiallyThresholdedRequestsPerHour", 1800.0),
    ("for a project per hour", "tokensPerProjectPerHour", 1800.0),
    ("hour", "tokensPerHour", 1800.0),
)


def quota_of(said: str) -> tuple[str, float | None]:
    """Return which quota a message says is exhausted, and the seconds until it opens; None: not today."""
    lowered = said.lower()
    for words, name, seconds in _MESSAGES:
        if words in lowered:
            return name, seconds
    return "tokensPerHour", 1800.0


def limit_of(name: str) -> int:
    """Return a standard property's limit of a quota."""
    return next((quota.limit for quota in QUOTAS if quota.name == name), 10)


@dataclass(frozen=True)
class Level:
    """What was left of a quota at an instant, and until when Google refuses because of it."""

    remaining: int
    as_of: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True)
class Wait:
    """No request may be sent: which quota forbids it, and for how long."""

    quota: str
    seconds: float


def may_send(
    now: datetime, levels: Mapping[str, Level], tokens: int, under_way: Sequence[int]
) -> Wait | None:
    """Return what forbids a request of so many tokens, or None.

    `under_way`: the tokens of requests that were sent and not answered yet. What was reported longer
    ago than a quota's period says nothing any more: the quota counts as whole.
    """
    for name, blocked in levels.items():
        if blocked.blocked_until and blocked.blocked_until > now:
            return Wait(name, (blocked.blocked_until - now).total_seconds())
    if len(under_way) >= MAX_CONCURRENT:
        return Wait(CONCURRENT, CONCURRENT_S)
    for quota in QUOTAS:
        level = levels.get(quota.name)
        if level is None or level.as_of + quota.period <= now:
            continue
        if level.remaining - quota.spare < _needed(quota, tokens, under_way):
            return Wait(quota.name, (level.as_of + quota.period - now).total_seconds())
    return None


def _needed(quota: Quota, tokens: int, under_way: Sequence[int]) -> int:
    return {"tokens": tokens + sum(under_way), "requests": 1 + len(under_way), "errors": 1}[
        quota.counts
    ]


def spent(now: datetime, levels: Mapping[str, Level], counts: str, amount: int) -> dict[str, Level]:
    """Return the quotas of a kind less `amount`, where the answer did not say what is left."""
    found = {}
    for quota in QUOTAS:
        if quota.counts == counts:
            known = levels.get(quota.name)
            is_known = known is not None and known.as_of + quota.period > now
            level = known if known and is_known else Level(quota.limit, now)
            left = max(level.remaining - amount, 0)
            found[quota.name] = Level(left, level.as_of, level.blocked_until)
    return found
