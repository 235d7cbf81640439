"""How old what came from each outside source is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

#: Nights come a day apart and take a while.
FRESH_WITHIN = timedelta(hours=30)

_NEWEST_GA4 = "select max(fetched_at) from landing.ga_partition"
_NEWEST_SITEMAP = "select max(taken_at) from landing.sitemap_snapshot"


@dataclass(frozen=True)
class SourceAge:
    """When a source was last read, and how long ago; None: never."""

    source: str
    read_at: datetime | None
    age_s: float | None

    @property
    def is_stale(self) -> bool:
        """Whether it was read, and too long ago."""
        return self.age_s is not None and self.age_s > FRESH_WITHIN.total_seconds()


#: source → when it was last read.
NEWEST: dict[str, Callable[[Connection], datetime | None]] = {
    "ga4": lambda conn: conn.execute(text(_NEWEST_GA4)).scalar(),
    "sitemap": lambda conn: conn.execute(text(_NEWEST_SITEMAP)).scalar(),
}


def ages(conn: Connection, now: datetime) -> list[SourceAge]:
    """Return the age of every source."""
    found = {name: look(conn) for name, look in NEWEST.items()}
    return [
        SourceAge(name, at, None if at is None else max((now - at).total_seconds(), 0.0))
        for name, at in found.items()
    ]
