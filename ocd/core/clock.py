"""The one place that reads this machine's clock; everything else takes `now` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current instant in UTC. For entrances only; leases and cutoffs use the database's."""
    return datetime.now(UTC)
