"""Choose a source and group what it says: one line per statement without values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ocd.core.errors import ConfigError
from ocd.core.statements import normalised
from ocd.database.slow.notes import Notes
from ocd.database.slow.serverlog import ServerLog
from ocd.database.slow.source import Record, Source
from ocd.database.slow.statistics import Statistics

SOURCES = ("statistics", "log", "notes")


@dataclass(frozen=True)
class Group:
    """A statement without values, as one role sent it (None: ourselves)."""

    statement: str
    role: str | None
    calls: int
    total_ms: float
    max_ms: float

    @property
    def mean_ms(self) -> float:
        """Milliseconds per call."""
        return self.total_ms / self.calls


def source(conn: Connection, wanted: str | None = None) -> Source:
    """Return the wanted source, or the best there is; raises ConfigError where the wanted one is missing."""
    found: Source | None = None
    if wanted in {None, "statistics"}:
        found = Statistics.found(conn)
    if found is None and wanted in {None, "log"}:
        found = ServerLog.found(conn)
    if found is None and wanted in {None, "notes"}:
        found = Notes(conn)
    if found is None:
        raise ConfigError(
            f"--source {wanted}: this server has none that this login may read (pg_stat_statements, JSON log); see docs/how-to/find-slow-statements.md"
        )
    return found


def slowest(records: Iterable[Record], top: int) -> list[Group]:
    """Return the groups that took most time in all, most first."""
    groups: dict[tuple[str, str | None], Group] = {}
    for one in records:
        text = normalised(one.statement)
        before = groups.get((text, one.role), Group(text, one.role, 0, 0.0, 0.0))
        groups[text, one.role] = replace(
            before,
            calls=before.calls + one.calls,
            total_ms=before.total_ms + one.total_ms,
            max_ms=max(before.max_ms, one.max_ms),
        )
    return sorted(groups.values(), key=lambda one: -one.total_ms)[:top]
