"""Decide which windows are to be made up for that nobody ordered in time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ocd.ledger.windows import Cadence, Window


@dataclass(frozen=True)
class CatchUp:
    """How many of the newest missed windows are made up for: none, the last, or all up to a limit."""

    limit: int

    def __str__(self) -> str:
        return {0: "none", 1: "last"}.get(self.limit, f"all, up to {self.limit}")


NONE = CatchUp(0)
LAST = CatchUp(1)


def all_up_to(limit: int) -> CatchUp:
    """Return the policy that makes up for every missed window among the newest `limit`."""
    return CatchUp(limit)


def windows_in_reach(
    cadence: Cadence, catch_up: CatchUp, *, since: datetime, now: datetime
) -> list[Window]:
    """Return the windows that are to have a run by now, newest first.

    The newest `catch_up.limit` ones that were due longer ago than beat's grace, and after `since`, when
    the schedule was first seen.
    """
    found: list[Window] = []
    window = cadence.last_due(now - cadence.grace)
    while len(found) < catch_up.limit and cadence.due(window) > since:
        found.append(window)
        window = cadence.before(window)
    return found
