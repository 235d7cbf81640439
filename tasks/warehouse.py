"""Jobs of the warehouse room."""

from __future__ import annotations

from ocd.ledger.policy import all_up_to
from ocd.warehouse import rollup as rollups
from tasks.job import Door, job


@job(
    "warehouse.rollup",
    queue="short",
    effect="idempotent",
    can_backfill=True,
    catch_up=all_up_to(7),
)
def rollup(door: Door) -> rollups.RollupReport:
    """Roll the day's agent rows up into metric facts, one per metric and period."""
    return rollups.rollup(door.conn, run=door.run, now=door.now)
