"""Jobs of the warehouse room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from ocd.analytics.kpis import measure as kpis
from ocd.analytics.kpis.files import load
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
    """Compute every key figure of the day and store it, one fact per metric, scope and period."""
    zone = str(door.settings.zone())
    return rollups.rollup(door.conn, run=door.run, now=door.now, measure=measured, zone=zone)


def measured(conn: Connection, start: datetime, end: datetime) -> Sequence[kpis.Figure]:
    """Return the figures that the specifications name."""
    return kpis.measure(conn, load(), start=start, end=end)
