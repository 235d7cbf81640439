"""The report on slow statements: each with its plan, and the index that was tried and helped."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection, text

from ocd.core.errors import OcdError
from ocd.database.slow import find
from ocd.database.slow.candidates import candidates
from ocd.database.slow.find import Group
from ocd.database.slow.prepared import prepared
from ocd.database.slow.source import Source
from ocd.database.slow.statistics import Statistics
from ocd.database.slow.trial import Laboratory, Trial, laboratory


@dataclass(frozen=True)
class Slow:
    """A slow statement. `remark` says why there is no plan or no index."""

    statement: str
    role: str | None
    calls: int
    total_ms: float
    mean_ms: float
    max_ms: float
    plan: tuple[str, ...]
    proposal: Trial | None
    remark: str


@dataclass(frozen=True)
class SlowReport:
    """The slowest statements, most time in all first; no values, no secrets."""

    version: ClassVar[int] = 1
    source: str
    known_since: datetime | None
    hidden: int
    statements: tuple[Slow, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        helped = sum(one.proposal is not None for one in self.statements)
        return f"By {self.source}: {len(self.statements)} slow, an index helps {helped}"


@dataclass(frozen=True)
class Question:
    """What to look at: since when, slower than what, how many; `max_rows` 0 tries no index."""

    since: datetime
    slower_than_ms: float
    top: int
    max_rows: int


def report(conn: Connection, source: Source, question: Question) -> SlowReport:
    """Find, explain, try. `conn` sees every row and is only read; a scratch server holds the copies."""
    records = source.read(since=question.since, slower_than_ms=question.slower_than_ms)
    groups = find.slowest(records, question.top)
    conn.rollback()
    conn.execute(text("set transaction read only"))
    conn.execute(text("set local row_security = off"))
    with ExitStack() as stack:
        place = _Place(stack, conn, question.max_rows)
        statements = tuple(_looked_at(conn, group, place) for group in groups)
    conn.rollback()
    hidden = source.hidden if isinstance(source, Statistics) else 0
    return SlowReport(source.name, source.known_since, hidden, statements)


class _Place:
    """The scratch database, started for the first statement that needs it."""

    def __init__(self, stack: ExitStack, live: Connection, max_rows: int) -> None:
        self._stack, self._live, self._max_rows = stack, live, max_rows
        self._found: Laboratory | None = None

    @property
    def is_wanted(self) -> bool:
        return self._max_rows > 0

    def laboratory(self) -> Laboratory:
        if self._found is None:
            self._found = self._stack.enter_context(laboratory(self._live, self._max_rows))
        return self._found


def _looked_at(conn: Connection, group: Group, place: _Place) -> Slow:
    plan: tuple[str, ...] = ()
    proposal, remark = None, ""
    try:
        with prepared(conn, group.statement) as one:
            generic = one.generic()
        plan = tuple(generic.lines())
        if not candidates(generic):
            remark = "its plan leaves no index to try"
        elif place.is_wanted:
            proposal = place.laboratory().best(group.statement, group.role, generic)
            remark = "" if proposal else "no index that was tried helps"
    except OcdError as error:
        remark = error.message
    times = (group.calls, group.total_ms, group.mean_ms, group.max_ms)
    return Slow(group.statement, group.role, *times, plan, proposal, remark)
