"""How GA4 stands: how old its data is, what is left of its quotas, how often and fast it answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from ocd.core.settings import Settings
from ocd.core.sqlfiles import statement
from ocd.sources.ga4.answers import parse
from ocd.sources.ga4.backends import opened
from ocd.sources.ga4.client import Request
from ocd.sources.ga4.metered import levels_of
from ocd.sources.ga4.policy import QUOTAS
from ocd.sources.ga4.reports import CHANNELS

_SUMMARISE_USAGE = statement(__file__, "summarise_usage.sql")
_NEWEST = statement(__file__, "newest_partition.sql")


@dataclass(frozen=True)
class QuotaLevel:
    """What is left of a quota, as Google last said; `limit` is a standard property's."""

    quota: str
    remaining: int
    limit: int
    as_of: datetime
    blocked_until: datetime | None


@dataclass(frozen=True)
class Usage:
    """Requests of the last seven days; rates are null where nothing was asked."""

    requests: int
    failed: int
    refused: int
    server_errors: int
    mean_ms: float | None
    longest_ms: int | None
    slow_rate: float | None
    hit_ratio: float | None


def newest(conn: Connection) -> dict[str, Any] | None:
    """Return property, newest day, when it was read, its origin and quality; None where nothing is stored."""
    row = conn.execute(_NEWEST).mappings().first()
    return dict(row) if row else None


def quota_levels(conn: Connection, property_id: str, now: datetime) -> list[QuotaLevel]:
    """Return what is known of each quota; what was said longer ago than its period is not shown."""
    known = levels_of(conn, property_id)
    return [
        QuotaLevel(
            quota.name,
            known[quota.name].remaining,
            quota.limit,
            known[quota.name].as_of,
            known[quota.name].blocked_until,
        )
        for quota in QUOTAS
        if quota.name in known and known[quota.name].as_of + quota.period > now
    ]


def usage(conn: Connection, property_id: str, now: datetime) -> Usage:
    """Return the last seven days in sum."""
    row = conn.execute(
        _SUMMARISE_USAGE, {"property": property_id, "since": now - timedelta(days=7)}
    ).one()
    return Usage(
        row.requests,
        row.failed,
        row.refused,
        row.server_errors,
        _share(row.latency_ms, row.requests),
        row.longest_ms or None,
        _share(row.slow, row.requests),
        _share(row.slices_kept, row.slices_kept + row.slices_read),
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def probe(settings: Settings, now: datetime) -> list[str]:
    """Ask for one row of yesterday and say what came; raises what the backend raises.

    It costs a request of the property's quota.
    """
    day = (now - timedelta(days=1)).date()
    with opened(settings) as client:
        answer = client.run_report(settings.ga_property or "recorded", Request(CHANNELS, day, 0, 1))
    page = parse(CHANNELS, day, answer)
    found = [
        f"backend {settings.ga_backend} answers for property {settings.ga_property}",
        f"time zone {page.time_zone}, currency {page.currency}",
    ]
    if settings.ga_backend != "recorded" and page.time_zone != settings.shop_time_zone:
        found.append(
            f"the shop's time zone is {settings.shop_time_zone}: set OCD_SHOP_TIME_ZONE={page.time_zone}, "
            "or each night waits until the property's day is over"
        )
    left = page.quotas.get("tokensPerDay")
    if isinstance(left, dict):
        found.append(f"tokens left today: {left.get('remaining', 0):,}")
    if page.row_count == 0:
        found.append(f"no rows for {day}: the property saw nobody, or the report is not there yet")
    return found
