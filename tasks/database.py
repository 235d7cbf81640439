"""Jobs of the database room."""

from __future__ import annotations

from ocd.database import audit as audits
from ocd.database import freshness as measurements
from ocd.database import snapshot as snapshots
from ocd.database.stack import stack_of
from ocd.ledger.weekdays import Weekdays
from ocd.ledger.windows import Daily
from tasks.job import Door, job

MONDAY, THURSDAY = 0, 3


@job("database.audit", queue="short", effect="read_only", cadence=Weekdays((MONDAY, THURSDAY)))
def audit(door: Door) -> audits.AuditReport:
    """Ask whether the database is as it was meant to be: rights, schema, indexes, retention."""
    stack = stack_of(door.settings)
    return audits.audit(door.conn, run=door.run, keeper=door.keeper, now=door.now, stack=stack)


@job("database.freshness", queue="short", effect="read_only", cadence=Daily(hour=3))
def freshness(door: Door) -> measurements.FreshnessReport:
    """Measure how old the newest row of each table is; a stale one opens an incident."""
    return measurements.measure(door.conn, run=door.run)


@job(
    "database.snapshot_schema",
    queue="short",
    effect="read_only",
    cadence=Weekdays((MONDAY, THURSDAY), hour=4),
)
def snapshot_schema(door: Door) -> snapshots.SnapshotReport:
    """Keep the schema as a dated file and say what changed since the last one."""
    return snapshots.snapshot(
        door.conn, run=door.run, store=door.store, keeper=door.keeper, now=door.now
    )
