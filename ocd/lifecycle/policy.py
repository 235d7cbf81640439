"""Decide what a purge may delete. Pure: facts and instants in, a plan out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from ocd.core.errors import BackupMissing, PolicyRefused
from ocd.datasets.facts import Dataset
from ocd.ledger.holds import NOTHING, Held

#: A window may end this much in the future of the database's clock; more is a wrong clock.
CLOCK_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Expiry:
    """Rows that match `condition` and whose `since` lies before `cutoff` are past retention."""

    rule: str
    condition: str  # SQL over the table's own columns; never NULL
    since: str
    cutoff: datetime


@dataclass(frozen=True)
class PurgePlan:
    """What to delete from a dataset, with cutoffs frozen: a retry or a dry run uses the same ones.

    Rows of `held` conversations stay, whatever their age.
    """

    dataset: str
    expiries: tuple[Expiry, ...]
    held: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Fingerprint of the predicate."""
        parts = [
            (one.rule, one.condition, one.since, one.cutoff.isoformat()) for one in self.expiries
        ]
        said = [self.dataset, parts, *([self.held] if self.held else [])]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def plan_purge(
    dataset: Dataset, *, window_end: datetime, now: datetime, held: Held = NOTHING
) -> PurgePlan | None:
    """Decide what is past retention at the end of the window. `None`: this dataset is kept for ever.

    The first rule whose condition matches a row decides about it. Raises PolicyRefused for a window
    that is not over, and where a legal hold covers every row.
    """
    if dataset.retention is None:
        return None
    if window_end > now + CLOCK_TOLERANCE:
        raise PolicyRefused(
            f"{dataset.name}: the window ends at {window_end.isoformat()}, which is not over; is a clock wrong?"
        )
    require_no_hold(dataset, held)
    expiries = []
    earlier: list[str] = []
    for rule in dataset.retention.rules:
        own = rule.where or "true"
        condition = " and ".join([f"({own})", *(f"not ({other})" for other in earlier)])
        if rule.keep is not None:
            expiries.append(Expiry(rule.name, condition, rule.since, window_end - rule.keep))
        earlier.append(own)
    return PurgePlan(dataset.name, tuple(expiries), held.conversations)


def require_no_hold(dataset: Dataset, held: Held) -> None:
    """Raise PolicyRefused where a hold covers every row, or conversations that the table does not know."""
    knows = any(column.name == "conversation_id" for column in dataset.columns)
    if held.is_whole or (held.conversations and not knows):
        raise PolicyRefused(
            f"{dataset.name}: a legal hold covers every row, so nothing is deleted; see `ocd hold list`"
        )


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
