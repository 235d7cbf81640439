"""Jobs of the database room."""

from __future__ import annotations

from ocd.database import audit as audits
from ocd.database.stack import stack_of
from ocd.ledger.weekdays import Weekdays
from tasks.job import Door, job

MONDAY, THURSDAY = 0, 3


@job("database.audit", queue="short", effect="read_only", cadence=Weekdays((MONDAY, THURSDAY)))
def audit(door: Door) -> audits.AuditReport:
    """Ask whether the database is as it was meant to be: rights, schema, indexes, retention."""
    stack = stack_of(door.settings)
    return audits.audit(door.conn, run=door.run, keeper=door.keeper, now=door.now, stack=stack)
