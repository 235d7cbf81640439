"""Where slow statements are known from: one protocol, and how one of several is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Record:
    """One statement, or the sum of several, as a source has it: the text may hold values."""

    statement: str
    role: str | None
    calls: int
    total_ms: float
    max_ms: float


class Source(Protocol):
    """What knows slow statements of the connected database."""

    #: For people.
    name: str
    #: From when on it knows; None where it cannot say.
    known_since: datetime | None

    def read(self, *, since: datetime, slower_than_ms: float) -> Iterable[Record]:
        """Yield what took longer than this, not before `since` where the source can tell."""
        ...
