"""Decide which backups stay. Pure: facts and an instant in, reasons out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Kept:
    """A backup that lies in the store; `id` is its manifest's."""

    id: int
    taken_at: datetime
    is_verified: bool
    expires_at: datetime


@dataclass(frozen=True)
class Keep:
    """How many backups stay: the newest ones, and one each of the last days, weeks, months that have any."""

    last: int
    daily: int
    weekly: int
    monthly: int


#: What names a day, an ISO week, a month of UTC.
_SPANS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: tuple(at.isocalendar()[:2]),
    "monthly": lambda at: (at.year, at.month),
}


def reasons_to_keep(
    backups: Iterable[Kept],
    keep: Keep,
    *,
    now: datetime,
    leaned_on: Collection[int] = (),
    is_held: bool = False,
) -> dict[int, tuple[str, ...]]:
    """Return backup id → why it stays; a backup without any reason goes.

    Rotation counts only backups that have not expired. Of a day, week or month the newest verified backup
    stays, or the newest where none is verified. Whatever rotation says, the newest verified backup stays, those
    that a purge leans on (`leaned_on`), and every one while a legal hold is open (`is_held`).
    """
    newest_first = sorted(backups, key=lambda one: (one.taken_at, one.id), reverse=True)
    reasons: dict[int, list[str]] = defaultdict(list)
    for backup in newest_first:
        if is_held:
            reasons[backup.id].append("legal hold")
        if backup.id in leaned_on:
            reasons[backup.id].append("purge")
    for backup in [one for one in newest_first if one.is_verified][:1]:
        reasons[backup.id].append("newest verified")
    current = [one for one in newest_first if one.expires_at > now]
    for backup in current[: keep.last]:
        reasons[backup.id].append("last")
    for span, name_of in _SPANS.items():
        for backup in _one_each(current, name_of)[: getattr(keep, span)]:
            reasons[backup.id].append(span)
    return {name: tuple(found) for name, found in reasons.items()}


def _one_each(
    newest_first: list[Kept], name_of: Callable[[datetime], tuple[int, ...]]
) -> list[Kept]:
    spans: dict[tuple[int, ...], Kept] = {}
    for backup in newest_first:
        there = spans.setdefault(name_of(backup.taken_at), backup)
        if backup.is_verified and not there.is_verified:
            spans[name_of(backup.taken_at)] = backup
    return list(spans.values())
