"""Slow statements out of the server's JSON log (`log_min_duration_statement`, `log_destination = jsonlog`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.database.slow.source import Record

_MAY_READ = statement(__file__, "may_read_log.sql")
_READ = statement(__file__, "read_log.sql")
#: So much is read from the end of the log.
MAX_BYTES = 16 * 2**20
# Parsing and binding are told apart from carrying out; only this one counts.
_DURATION = re.compile(r"duration: ([\d.]+) ms +(?:statement|execute [^:]*): (.*)", re.DOTALL)


class ServerLog:
    """One line per slow statement, with its values; they are taken out when statements are grouped."""

    name = "server log"

    def __init__(self, content: bytes, database: str) -> None:
        self._lines = list(_parsed(content, database))
        self.known_since = min((at for at, _ in self._lines if at), default=None)

    @classmethod
    def found(cls, conn: Connection) -> ServerLog | None:
        """Return it where the server writes one and this login may read its files."""
        if not conn.execute(_MAY_READ).scalar_one():
            return None
        path = conn.exec_driver_sql("select pg_current_logfile('jsonlog')").scalar()
        if path is None:
            return None
        content = conn.execute(_READ, {"path": path, "bytes": MAX_BYTES}).scalar_one()
        return cls(content, _database(conn))

    @classmethod
    def of_file(cls, path: Path, conn: Connection) -> ServerLog:
        """Return the log in a file here; raises ConfigError where it cannot be read."""
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - MAX_BYTES))
                return cls(file.read(), _database(conn))
        except OSError as error:
            raise ConfigError(f"--log {path}: {error.strerror}") from error

    def read(self, *, since: datetime, slower_than_ms: float) -> Iterator[Record]:
        """Yield one record per line; one whose instant cannot be told is kept."""
        for at, record in self._lines:
            if record.max_ms >= slower_than_ms and (at is None or at >= since):
                yield record


def _parsed(content: bytes, database: str) -> Iterator[tuple[datetime | None, Record]]:
    for line in content.decode("utf-8", errors="replace").splitlines():
        entry = _entry(line)
        found = _DURATION.fullmatch(str(entry.get("message", "")))
        if found and entry.get("dbname") == database:
            took_ms = float(found[1])
            yield (
                _instant(entry.get("timestamp")),
                Record(found[2], entry.get("user"), 1, took_ms, took_ms),
            )


def _entry(line: str) -> dict[str, Any]:
    # The first line may have lost its beginning, the last one its end.
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _instant(stamp: Any) -> datetime | None:
    """Return the instant; None where the server logs in another time zone than UTC."""
    try:
        return datetime.strptime(str(stamp), "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def _database(conn: Connection) -> str:
    return str(conn.exec_driver_sql("select current_database()").scalar_one())
