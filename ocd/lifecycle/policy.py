"""Decide what a purge may delete, how much at most, and how fast. Pure: facts and instants in, plans out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType

from ocd.core.errors import BackupMissing, PolicyRefused
from ocd.datasets.facts import Dataset, Retention

#: A window may end this much in the future of the database's clock; more is a wrong clock.
CLOCK_TOLERANCE = timedelta(seconds=60)
#: Rows that a rule keeps for ever are flagged once they are this old: somebody forgot them.
FLAG_AFTER = timedelta(days=90)
#: Fewer rows than this are deleted whatever their share of the table: half of a handful says nothing.
SHARE_FROM_ROWS = 100
#: A batch holds its row locks about this long.
BATCH_S = 0.04
#: Rows that a batch looks at: so few at most that it is still short where all of them go after none did.
MIN_ROWS, MAX_ROWS = 2_000, 20_000
NOTHING: Mapping[str, timedelta] = MappingProxyType({})


@dataclass(frozen=True)
class Expiry:
    """Rows that match `condition` and whose `since` lies before `cutoff`."""

    rule: str
    condition: str  # SQL over the table's own columns; never NULL
    since: str
    cutoff: datetime


@dataclass(frozen=True)
class PurgePlan:
    """What to delete from a dataset, with cutoffs frozen: a retry or a dry run uses the same ones.

    `endless` are rows that stay although they are older than FLAG_AFTER. `policy_sha256` says which
    periods led here; `below_policy_days` by how much they were undercut on order.
    """

    dataset: str
    expiries: tuple[Expiry, ...]
    endless: tuple[Expiry, ...] = ()
    policy_sha256: str = ""
    below_policy_days: int = 0

    @property
    def sha256(self) -> str:
        """Fingerprint of the predicate."""
        parts = [
            (one.rule, one.condition, one.since, one.cutoff.isoformat()) for one in self.expiries
        ]
        return _sha256([self.dataset, parts])

    @property
    def cutoffs(self) -> dict[str, datetime]:
        """Rule → instant before which its rows expire."""
        return {one.rule: one.cutoff for one in self.expiries}


@dataclass(frozen=True)
class Limits:
    """How far a purge may go without asking a person."""

    share_percent: int = 20
    rows: int = 1_000_000
    jump_days: int = 14
    clock: timedelta = CLOCK_TOLERANCE


def plan_purge(
    dataset: Dataset,
    *,
    window_end: datetime,
    now: datetime,
    lengthened: Mapping[str, timedelta] = NOTHING,
    days: int | None = None,
) -> PurgePlan | None:
    """Decide what is past retention at the end of the window. `None`: this dataset is kept for ever.

    The first rule whose condition matches a row decides about it. `lengthened` are policy rows, rule →
    period; none shortens. `days` counts in place of the shortest period, and of longer ones where it is
    longer still. Raises PolicyRefused for a window that is not over.
    """
    if dataset.retention is None:
        return None
    if window_end > now + CLOCK_TOLERANCE:
        raise PolicyRefused(
            f"{dataset.name}: the window ends at {window_end.isoformat()}, which is not over; is a clock wrong?"
        )
    policy = _periods(dataset.name, dataset.retention, lengthened)
    chosen, below = _ordered(policy, days)
    expiries, endless, earlier = [], [], list[str]()
    for rule in dataset.retention.rules:
        own = rule.where or "true"
        condition = " and ".join([f"({own})", *(f"not ({other})" for other in earlier)])
        if rule.name in chosen:
            cutoff = window_end - chosen[rule.name]
            expiries.append(Expiry(rule.name, condition, rule.since, cutoff))
        else:
            endless.append(Expiry(rule.name, condition, rule.since, window_end - FLAG_AFTER))
        earlier.append(own)
    said = [
        (rule.name, rule.where, rule.since, str(policy.get(rule.name)))
        for rule in dataset.retention.rules
    ]
    return PurgePlan(dataset.name, tuple(expiries), tuple(endless), _sha256(said), below)


def _periods(
    dataset: str, retention: Retention, lengthened: Mapping[str, timedelta]
) -> dict[str, timedelta]:
    """Return rule → period of the rules that expire at all, each the longer of its own and its policy row's."""
    own = {rule.name: rule.keep for rule in retention.rules if rule.keep is not None}
    if unknown := sorted(set(lengthened) - set(own)):
        raise PolicyRefused(
            f"{dataset}: a policy row lengthens rule {unknown[0]}, which no longer expires under that name, so "
            "nothing is deleted; `ocd policy set` it for the rule that took its place, then `ocd policy unset` it"
        )
    return {name: max(keep, lengthened.get(name, keep)) for name, keep in own.items()}


def _ordered(policy: dict[str, timedelta], days: int | None) -> tuple[dict[str, timedelta], int]:
    """Return the periods that somebody ordered, and by how many days they undercut the policy."""
    if days is None or not policy:
        return policy, 0
    asked, shortest = timedelta(days=days), min(policy.values())
    chosen = {
        name: asked if keep == shortest else max(keep, asked) for name, keep in policy.items()
    }
    return chosen, max(0, ceil((shortest - asked) / timedelta(days=1)))


def passed_limits(
    plan: PurgePlan,
    limits: Limits,
    *,
    rows: int,
    table_rows: int,
    clock_skew: timedelta,
    last_cutoffs: Mapping[str, datetime],
) -> dict[str, int]:
    """Return every limit that the whole plan passes, and how far: what a person has to approve."""
    jump = max(
        (one.cutoff - last_cutoffs.get(one.rule, one.cutoff) for one in plan.expiries),
        default=timedelta(),
    )
    is_large = rows >= SHARE_FROM_ROWS and rows * 100 > limits.share_percent * table_rows
    asks = {
        "share_percent": ceil(rows * 100 / table_rows) if is_large else 0,
        "rows": rows if rows > limits.rows else 0,
        "cutoff_jump_days": ceil(jump / timedelta(days=1))
        if jump > timedelta(days=limits.jump_days)
        else 0,
        "below_policy_days": plan.below_policy_days,
        # In whole minutes: the next attempt measures some milliseconds more or less.
        "clock_skew_minutes": ceil(abs(clock_skew) / timedelta(minutes=1))
        if abs(clock_skew) > limits.clock
        else 0,
    }
    return {name: amount for name, amount in asks.items() if amount}


_WORDS = {
    "share_percent": "{} % of the table would be deleted",
    "rows": "{:,} rows would be deleted",
    "cutoff_jump_days": "the cutoff is {} days past the last purge's",
    "below_policy_days": "rows would be deleted {} days before policy allows",
    "clock_skew_minutes": "the clocks of worker and database differ by up to {} min",
}


def question(dataset: str, asks: Mapping[str, int]) -> str:
    """Return what a person is asked, in words."""
    return f"{dataset}: " + ", ".join(_WORDS[name].format(amount) for name, amount in asks.items())


def require_backup(
    dataset: Dataset,
    *,
    verified_at: datetime | None,
    is_same_night: bool,
    now: datetime,
    trust: timedelta,
) -> None:
    """Raise BackupMissing unless a verification of the same night, or one younger than `trust`, exists."""
    if verified_at is not None and (is_same_night or now - verified_at <= trust):
        return
    raise BackupMissing(dataset.name, needed_after=f"{now - trust:%Y-%m-%dT%H:%MZ}")


def next_size(size: int, took_s: float) -> int:
    """Return the next batch's rows: towards BATCH_S, half as many more at most, half as many at least."""
    factor = min(1.5, max(0.5, BATCH_S / max(took_s, 0.001)))
    return max(MIN_ROWS, min(MAX_ROWS, int(size * factor)))


def rest_s(took_s: float) -> float:
    """Return how long to rest after a batch: not at all, or where others made it slow, as long as it took."""
    return min(took_s, 5.0) if took_s > 5 * BATCH_S else 0.0


def _sha256(said: object) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
