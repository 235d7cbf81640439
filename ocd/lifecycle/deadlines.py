"""Decide what the law and the house ask of an erasure: proof, and by when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ocd.core.errors import ConfigError, PolicyRefused
from ocd.datasets.subjects import Kind, Subject, parse

#: The person is told within this time that the request came.
ACKNOWLEDGE_WITHIN = timedelta(hours=48)
#: The law: without undue delay, at the latest one month (GDPR article 12 (3)).
DONE_WITHIN = timedelta(days=30)
#: People are told this long before a deadline. The clock is looked at once a day, so nobody is told too late.
WARN_BEFORE_ACKNOWLEDGING = timedelta(hours=36)
WARN_BEFORE_DONE = timedelta(days=7)

#: What whoever asked has shown. An address alone can be read by anybody who sits at that screen.
PROOFS = ("email-and-order", "email-no-order")


@dataclass(frozen=True)
class Clock:
    """When a request came and by when it must be acknowledged and done."""

    received_at: datetime
    acknowledge_by: datetime
    due_at: datetime

    @classmethod
    def of(cls, received_at: datetime) -> Clock:
        """Return the clock that starts with the arrival of a request."""
        return cls(received_at, received_at + ACKNOWLEDGE_WITHIN, received_at + DONE_WITHIN)


@dataclass(frozen=True)
class Warned:
    """A deadline that comes near or has passed: which one, and until when."""

    what: str  # acknowledge or erase
    by: datetime
    is_over: bool


def warnings(
    clock: Clock, *, is_acknowledged: bool, is_finished: bool, now: datetime
) -> Iterator[Warned]:
    """Yield the deadlines of an open request that people are to be told of now."""
    if not is_acknowledged and not is_finished:
        yield from _near("acknowledge", clock.acknowledge_by, WARN_BEFORE_ACKNOWLEDGING, now)
    if not is_finished:
        yield from _near("erase", clock.due_at, WARN_BEFORE_DONE, now)


def _near(what: str, by: datetime, before: timedelta, now: datetime) -> Iterator[Warned]:
    if now >= by - before:
        yield Warned(what, by, now >= by)


def require_proof(proof: str, subjects: Iterable[Subject]) -> None:
    """Raise PolicyRefused unless what was shown suffices to delete these subjects.

    To be told something an address that matches is enough; to delete, an order's number besides. Who never
    ordered has none, but then no customer's or order's rows can be theirs.
    """
    if proof not in PROOFS:
        raise PolicyRefused(
            "an erasure needs more than a matching address: ask for the number of an order as well, "
            f"and say --proof {PROOFS[0]}"
        )
    if proof == PROOFS[1] and any(one.kind is not Kind.CONVERSATION for one in subjects):
        raise PolicyRefused(
            f"--proof {PROOFS[1]}: a customer or an order is named, so there is an order; ask for its number"
        )


def backups_gone_by(clock: Clock, *, now: datetime) -> datetime:
    """Return when backups that hold erased rows expire: within the law's time, and a day off at least."""
    return max(clock.due_at, now + timedelta(days=1))


def subjects_of(lines: Iterable[str]) -> tuple[Subject, ...]:
    """Return the subjects of lines such as `customer:4711`; raises ConfigError naming the line, not the id."""
    found: list[Subject] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        subject = parse(line)
        if subject is None:
            raise ConfigError(
                f"line {number}: expected conversation:ID, customer:ID or order:ID, one a line"
            )
        found.append(subject)
    if not found:
        raise ConfigError("nothing to erase was named; one a line, such as conversation:1042")
    return tuple(dict.fromkeys(found))
