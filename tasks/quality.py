"""Jobs of the quality room."""

from __future__ import annotations

from ocd.quality import check as checks
from ocd.quality.agents import RULES
from tasks.job import Door, job


@job("quality.check", queue="short", effect="read_only")
def check(door: Door) -> checks.QualityReport:
    """Check the rules of the agent tables, one scan per table; findings are results."""
    return checks.check(door.conn, RULES, run=door.run, keeper=door.keeper, now=door.now)
