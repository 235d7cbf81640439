"""Jobs of the quality room."""

from __future__ import annotations

from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.weekdays import Weekdays
from ocd.quality import check as checks
from ocd.quality.agents import RULES
from ocd.quality.profile import keep as profiles
from tasks.job import Door, job

SUNDAY = 6


@job("quality.check", queue="short", effect="read_only")
def check(door: Door) -> checks.QualityReport:
    """Check the rules of the agent tables, one scan per table; findings are results."""
    return checks.check(door.conn, RULES, run=door.run, keeper=door.keeper, now=door.now)


@job(
    "quality.profile",
    queue="long",
    effect="idempotent",
    subject=("dataset",),
    cadence=Weekdays((SUNDAY,), hour=4),
)
def profile(door: Door, dataset: str = "all") -> profiles.ProfileReport:
    """Profile tables, one scan each, keep what was found, say what changed since the last time."""
    chosen = DATASETS if dataset == "all" else (dataset_named(dataset),)
    return profiles.profile(door.conn, chosen, run=door.run, now=door.now)
