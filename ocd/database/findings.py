"""A finding: what is not as it was meant to be, how much it matters, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection


class Severity(StrEnum):
    """How much a finding matters, least first."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """Something of one object; names of objects only, never a row's value."""

    check: str
    severity: Severity
    object: str
    detail: str


@dataclass(frozen=True)
class Limits:
    """From where on something counts."""

    unused_for: timedelta = timedelta(days=30)
    unused_bytes: int = 8_000_000
    bloat_rows: int = 10_000
    bloat_share: float = 0.2
    #: Longer than this past its time, a row says that the purge does not run.
    overdue_after: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class Stack:
    """What this installation is set up to talk to: named database addresses and Python packages."""

    databases: dict[str, str]
    packages: frozenset[str]


@dataclass(frozen=True)
class Scene:
    """What a check looks at: a connection that sees every row, the instant, limits, the stack."""

    conn: Connection
    now: datetime
    limits: Limits
    stack: Stack


#: What a check yields: an object and what is odd about it.
Seen = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Check:
    """One question to the database, and what to do about each answer."""

    name: str
    severity: Severity
    question: str
    mend: str
    look: Callable[[Scene], Seen]

    def findings(self, scene: Scene) -> list[Finding]:
        """Return what it found."""
        return [
            Finding(self.name, self.severity, object_, detail)
            for object_, detail in self.look(scene)
        ]
