"""Since when something is scheduled, and which of its windows the ledger knows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, text

from ocd.core.sqlfiles import statement

_FIND = statement(__file__, "find_windows.sql")


def since(conn: Connection, name: str, cadence: str) -> datetime:
    """Return since when `name` is scheduled with this cadence; the first to ask sets it. The caller commits.

    A window that was due before was not missed: nobody had promised it. A new cadence begins anew.
    """
    found = conn.execute(
        text("select since_at from ocd.schedule where name = :name and cadence = :cadence"),
        {"name": name, "cadence": cadence},
    ).scalar()
    if found is None:
        found = conn.execute(
            text("""
                insert into ocd.schedule (name, cadence) values (:name, :cadence)
                on conflict (name) do update set cadence = excluded.cadence, since_at = clock_timestamp()
                returning since_at
            """),
            {"name": name, "cadence": cadence},
        ).scalar_one()
    assert isinstance(found, datetime)  # noqa: S101 - a timestamptz column that is not null
    return found


def known_windows(
    conn: Connection, jobs: Iterable[str], *, since: datetime
) -> dict[str, set[datetime]]:
    """Return per job the starts of the windows from `since` on that have a run, whatever became of it."""
    found: dict[str, set[datetime]] = {job: set() for job in jobs}
    for row in conn.execute(_FIND, {"jobs": list(found), "since": since}):
        found[row.job].add(row.window_start)
    return found
