"""Jobs of the lifecycle room: backup, verification, purge."""

from __future__ import annotations

from datetime import timedelta

from ocd.core.cluster import scratch_postgres
from ocd.core.errors import PolicyRefused
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.lifecycle import backup as backups
from ocd.lifecycle import purge as purges
from ocd.lifecycle import verify as verification
from tasks.job import Door, job


def _with_retention() -> tuple[str, ...]:
    return tuple(dataset.name for dataset in DATASETS if dataset.retention)


@job("lifecycle.backup", queue="long", effect="idempotent")
def backup(door: Door) -> backups.BackupReport:
    """Copy every table that is backed up from one snapshot into the artifact store."""
    return backups.backup(
        door.conn, run=door.run, store=door.store, keeper=door.keeper, now=door.now
    )


@job("lifecycle.verify", queue="long", effect="read_only")
def verify(door: Door) -> verification.VerifyReport:
    """Restore the newest backup into a scratch server and compare it with its source."""
    return verification.verify(
        door.conn,
        run=door.run,
        store=door.store,
        keeper=door.keeper,
        now=door.now,
        scratch=scratch_postgres,
    )


@job(
    "lifecycle.purge",
    queue="long",
    effect="fenced",
    subject=("dataset",),
    expand={"dataset": _with_retention},
    gated_by="dataset",
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
