"""Jobs that bring rows back, rehearse it, and erase for good."""

from __future__ import annotations

from functools import partial

from ocd.core import scratch
from ocd.database import examine
from ocd.ledger.months import Monthly
from ocd.ledger.windows import Daily
from ocd.lifecycle import drill as drills
from ocd.lifecycle import erase as erasing
from ocd.lifecycle import erasures
from ocd.lifecycle import restore as restoring
from tasks.job import Door, job
from tasks.lifecycle import scratch_of

#: Other stores that may hold a person's rows, in the order in which they are erased.
ERASERS: tuple[erasing.Eraser, ...] = ()


@job(
    "lifecycle.restore",
    queue="restore",
    effect="fenced",
    subject=("request",),
    is_on_demand=True,
)
def restore(door: Door, request: int = 0, *, dry_run: bool = False) -> restoring.RestoreReport:
    """Bring back from a backup what `ocd restore` asked for."""
    return restoring.restore(
        door.conn,
        request,
        run=door.run,
        store=door.store,
        keys=door.settings.signing_keys(),
        key=door.settings.erasure_key,
        kept_server=partial(scratch.start, door.settings.home),
        scratch=scratch_of(door),
    )


@job(
    "lifecycle.unpurge",
    queue="restore",
    effect="fenced",
    subject=("request",),
    is_on_demand=True,
)
def unpurge(door: Door, request: int = 0, *, dry_run: bool = False) -> restoring.RestoreReport:
    """Bring back what a purge took, as `ocd unpurge` asked for."""
    return restoring.unpurge(
        door.conn, request, run=door.run, store=door.store, key=door.settings.erasure_key
    )


@job("lifecycle.drill", queue="restore", effect="read_only", cadence=Monthly())
def drill(door: Door) -> drills.DrillReport:
    """Restore the newest backup into an empty server and examine access and audit there."""
    return drills.drill(
        door.conn,
        run=door.run,
        store=door.store,
        keys=door.settings.signing_keys(),
        key=door.settings.erasure_key,
        scratch=scratch_of(door),
        examinations=_examinations(door),
    )


def _examinations(door: Door) -> dict[str, drills.Examination]:
    return {"access": examine.access, "audit": partial(examine.faults, now=door.now)}


@job(
    "lifecycle.erase",
    queue="restore",
    effect="fenced",
    subject=("request",),
    is_on_demand=True,
)
def erase(door: Door, request: int = 0, *, dry_run: bool = False) -> erasing.EraseReport:
    """Erase whom `ocd erase request` named, wherever rows of theirs lie."""
    if dry_run:
        return _plan_erasure(door, request)
    return _erase(door, request)


def _plan_erasure(door: Door, request: int) -> erasing.EraseReport:
    return erasing.plan(
        door.conn,
        request,
        run=door.run,
        store=door.store,
        keys=door.settings.signing_keys(),
        now=door.now,
        erasers=ERASERS,
    )


def _erase(door: Door, request: int) -> erasing.EraseReport:
    return erasing.erase(
        door.conn,
        request,
        run=door.run,
        store=door.store,
        keeper=door.keeper,
        keys=door.settings.signing_keys(),
        key=door.settings.erasure_key,
        now=door.now,
        erasers=ERASERS,
    )


@job("lifecycle.watch_erasures", queue="short", effect="idempotent", cadence=Daily(hour=5))
def watch_erasures(door: Door) -> erasures.WatchReport:
    """Tell people of erasures whose deadline comes near; forget conditions of restores that never ended."""
    return erasures.watch(door.conn, run=door.run, now=door.now)
