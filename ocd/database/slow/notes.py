"""Slow statements as our own jobs note them with their log lines; there on every database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from ocd.core.sqlfiles import statement
from ocd.database.slow.source import Record

_NOTES = statement(__file__, "list_notes.sql")


class Notes:
    """What the jobs sent and waited for; nobody else's statements, and nothing faster than 0.2 s."""

    name = "notes of our own jobs"
    known_since: datetime | None = None

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def read(self, *, since: datetime, slower_than_ms: float) -> Iterator[Record]:
        """Yield one record per statement."""
        rows = self._conn.execute(_NOTES, {"since": since, "slower_than_ms": slower_than_ms})
        for row in rows:
            yield Record(row.statement, None, row.calls, row.total_ms, row.max_ms)
