"""Jobs of the lifecycle room: backup, verification, purge, rotation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from ocd.core.cluster import scratch_database, scratch_postgres
from ocd.core.errors import PolicyRefused
from ocd.core.settings import Settings
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.weekdays import Weekdays
from ocd.lifecycle import backup as backups
from ocd.lifecycle import purge as purges
from ocd.lifecycle import reread as rereading
from ocd.lifecycle import rotate as rotation
from ocd.lifecycle import verify as verification
from ocd.lifecycle.rotation_policy import Keep
from tasks.job import Door, job

SUNDAY = 6


def _with_retention() -> tuple[str, ...]:
    return tuple(dataset.name for dataset in DATASETS if dataset.retention)


@job("lifecycle.backup", queue="long", effect="idempotent")
def backup(door: Door) -> backups.BackupReport:
    """Copy every table that is backed up from one snapshot into the artifact store."""
    return backups.backup(
        door.conn,
        run=door.run,
        store=door.store,
        keeper=replace(door.keeper, keep=_backup_life(door.settings)),
        keys=door.settings.signing_keys(),
    )


@job("lifecycle.verify", queue="restore", effect="read_only")
def verify(door: Door) -> verification.VerifyReport:
    """Restore the newest backup into a scratch server and compare it with its source."""
    return verification.verify(
        door.conn,
        run=door.run,
        store=door.store,
        keeper=door.keeper,
        keys=door.settings.signing_keys(),
        scratch=_scratch(door),
    )


@job("lifecycle.rotate", queue="long", effect="fenced")
def rotate(door: Door, *, dry_run: bool = False) -> rotation.RotationReport:
    """Remove backups, archives and other files that are past their time, and orphans."""
    wanted = rotation_of(door.settings)
    if dry_run:
        return rotation.plan(door.conn, store=door.store, rotation=wanted, now=door.now)
    return rotation.rotate(door.conn, run=door.run, store=door.store, rotation=wanted, now=door.now)


@job("lifecycle.reread", queue="restore", effect="idempotent", cadence=Weekdays((SUNDAY,), hour=6))
def reread(door: Door) -> rereading.RereadReport:
    """Read the backups and archives again that were not read for the longest time."""
    return rereading.reread(
        door.conn,
        run=door.run,
        store=door.store,
        keys=door.settings.signing_keys(),
        budget_bytes=door.settings.reread_gb * 1_000_000_000,
        now=door.now,
    )


def rotation_of(settings: Settings) -> rotation.Rotation:
    """Return how many backups the settings keep."""
    return rotation.Rotation(
        Keep(
            settings.backup_keep_last,
            settings.backup_keep_daily,
            settings.backup_keep_weekly,
            settings.backup_keep_monthly,
        ),
        timedelta(days=settings.backup_hold_days),
    )


def _backup_life(settings: Settings) -> timedelta:
    """Return how long a backup may live at most: the longest that rotation keeps one, or any artifact."""
    return timedelta(
        days=max(
            settings.artifact_days,
            settings.backup_keep_daily,
            7 * settings.backup_keep_weekly,
            31 * settings.backup_keep_monthly,
        )
    )


def _scratch(door: Door) -> verification.Scratch:
    url = door.settings.scratch_database_url
    return scratch_postgres if url is None else partial(scratch_database, url)


@job(
    "lifecycle.purge",
    queue="long",
    effect="fenced",
    subject=("dataset",),
    expand={"dataset": _with_retention},
)
def purge(door: Door, dataset: str = "all", *, dry_run: bool = False) -> purges.PurgeReport:
    """Delete rows past retention into a sealed archive, after a verified backup."""
    facts = dataset_named(dataset)
    trust = timedelta(hours=door.settings.backup_trust_hours)
    if dry_run:
        return purges.plan(door.conn, facts, now=door.now, window=door.run.window, trust=trust)
    return _purge(door, facts, trust)


def _purge(door: Door, facts: Dataset, trust: timedelta) -> purges.PurgeReport:
    """Pass the plumbing on, where deleting is switched on."""
    if not door.settings.purge_enabled:
        raise PolicyRefused(
            "purging is off for this database; set OCD_PURGE_ENABLED=true where it is meant"
        )
    return purges.purge(
        door.conn,
        facts,
        run=door.run,
        store=door.store,
        keeper=door.keeper,
        now=door.now,
        trust=trust,
        batch_rows=door.settings.purge_batch_rows,
    )
