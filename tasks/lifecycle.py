"""Jobs of the lifecycle room: backup, verification, purge, rotation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from ocd.core.clock import utc_now
from ocd.core.cluster import scratch_database, scratch_postgres
from ocd.core.db import now_of
from ocd.core.errors import ConfigError, PolicyRefused
from ocd.core.settings import Settings
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.weekdays import Weekdays
from ocd.ledger.windows import Daily
from ocd.lifecycle import backup as backups
from ocd.lifecycle import page as pages
from ocd.lifecycle import purge as purges
from ocd.lifecycle import reread as rereading
from ocd.lifecycle import rotate as rotation
from ocd.lifecycle import tombstones
from ocd.lifecycle import verify as verification
from ocd.lifecycle.policy import Limits
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
        scratch=scratch_of(door),
        erased=tombstones.standing(door.conn, door.store, door.settings.erasure_key),
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


def scratch_of(door: Door) -> verification.Scratch:
    """Return what gives an empty database to restore into: a throw-away server, or one on a server that is set."""
    url = door.settings.scratch_database_url
    return scratch_postgres if url is None else partial(scratch_database, url)


@job("lifecycle.page", queue="short", effect="idempotent", cadence=Daily(hour=5))
def page(door: Door) -> pages.PageReport:
    """Show on a page how large and old the tables are, what was purged, how well backups are proved."""
    terms = purge_terms(door.settings)

    def plan(conn: Connection, dataset: Dataset) -> purges.PurgeReport:
        return purges.plan(conn, dataset, now=door.now, window=door.run.window, terms=terms)

    return pages.write(door.conn, run=door.run, keeper=door.keeper, now=door.now, plan=plan)


@job(
    "lifecycle.purge",
    queue="long",
    effect="fenced",
    subject=("dataset",),
    overrides=("days",),
    expand={"dataset": _with_retention},
    gated_by="dataset",
)
def purge(
    door: Door, dataset: str = "all", days: int = 0, *, dry_run: bool = False
) -> purges.PurgeReport:
    """Delete rows past retention into a sealed archive, after a verified backup.

    `days` counts in place of the shortest period, 0 for what policy says; fewer need an approval.
    """
    facts = dataset_named(dataset)
    terms = purge_terms(door.settings, days, skew=utc_now() - now_of(door.conn))
    if dry_run:
        return purges.plan(door.conn, facts, now=door.now, window=door.run.window, terms=terms)
    return _purge(door, facts, terms)


def purge_terms(
    settings: Settings, days: int = 0, *, skew: timedelta = timedelta()
) -> purges.Terms:
    """Return what the settings and an order say of a purge; raises ConfigError for days that are none."""
    if days < 0:
        raise ConfigError("--days: a number of days, or 0 for what policy says")
    return purges.Terms(
        trust=timedelta(hours=settings.backup_trust_hours),
        limits=Limits(
            settings.purge_max_share_percent,
            settings.purge_max_rows,
            settings.purge_max_jump_days,
        ),
        days=days or None,
        clock_skew=skew,
        batch_rows=settings.purge_batch_rows,
        budget=timedelta(minutes=settings.purge_minutes),
    )


def _purge(door: Door, facts: Dataset, terms: purges.Terms) -> purges.PurgeReport:
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
        terms=terms,
    )
