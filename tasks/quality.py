"""Jobs of the quality room."""

from __future__ import annotations

from ocd.core.db import engine_for
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.weekdays import Weekdays
from ocd.ledger.windows import Daily
from ocd.quality import check as checks
from ocd.quality import completeness as hours
from ocd.quality import consistency as counterparts
from ocd.quality.cleanse import apply as cleansing
from ocd.quality.cleanse import revert as reverting
from ocd.quality.files import chosen, load
from ocd.quality.policy import Mode
from ocd.quality.profile import keep as profiles
from ocd.quality.references import RECONCILIATIONS, REFERENCES
from ocd.quality.rule import Rule
from tasks.job import JOBS, Door, job

SUNDAY = 6
#: Tables of the desk and its mirrors, without what the ledger writes about itself.
OF_THE_DESK = tuple(one for one in DATASETS if one.schema != "ocd")


@job("quality.check", queue="short", effect="fenced", subject=("dataset",))
def check(door: Door, dataset: str = "all", mode: str = "auto") -> checks.QualityReport:
    """Check the rules of every table, one scan per table; findings are results."""
    return _check(door, load(), dataset, Mode(mode))


def _check(door: Door, rules: tuple[Rule, ...], dataset: str, mode: Mode) -> checks.QualityReport:
    """Pass the plumbing on, with what other rooms may not know: the reader's login, the gated jobs."""
    return checks.check(
        door.conn,
        chosen(rules, dataset=dataset),
        run=door.run,
        keeper=door.keeper,
        now=door.now,
        mode=mode,
        max_cost=door.settings.quality_max_cost,
        reader=engine_for(door.settings.reader_url(), "quality"),
        known={one.id for one in rules},
        stops=[one.name for one in JOBS.values() if one.facts.gated_by],
    )


@job(
    "quality.profile",
    queue="long",
    effect="idempotent",
    subject=("dataset",),
    cadence=Weekdays((SUNDAY,), hour=4),
)
def profile(door: Door, dataset: str = "all") -> profiles.ProfileReport:
    """Profile tables, one scan each, keep what was found, say what changed since the last time."""
    tables = DATASETS if dataset == "all" else (dataset_named(dataset),)
    return profiles.profile(door.conn, tables, run=door.run, now=door.now)


@job(
    "quality.completeness",
    queue="short",
    effect="idempotent",
    subject=("dataset",),
    cadence=Daily(hour=3),
    can_backfill=True,
)
def completeness(door: Door, dataset: str = "all") -> hours.CompletenessReport:
    """Count what each hour of the day brought to each table, against earlier weeks."""
    tables = OF_THE_DESK if dataset == "all" else (dataset_named(dataset),)
    return hours.measure(door.conn, tables, run=door.run, zone=door.settings.zone(), now=door.now)


@job("quality.consistency", queue="short", effect="idempotent", cadence=Daily(hour=4))
def consistency(door: Door) -> counterparts.ConsistencyReport:
    """Look for rows without their counterpart in another table, and for figures that disagree."""
    return counterparts.check(door.conn, REFERENCES, RECONCILIATIONS, run=door.run, now=door.now)


@job("quality.cleanse", queue="long", effect="fenced", subject=("plan",), is_on_demand=True)
def cleanse(door: Door, plan: str = "", *, dry_run: bool = False) -> cleansing.CleansingReport:
    """Mend exactly what a kept plan says, in batches; every old and new value is kept."""
    if dry_run:
        return cleansing.rehearse(door.conn, plan)
    return cleansing.apply(door.conn, plan, run=door.run)


@job(
    "quality.revert_cleansing",
    queue="long",
    effect="fenced",
    subject=("of_run",),
    is_on_demand=True,
)
def revert_cleansing(
    door: Door, of_run: int = 0, *, dry_run: bool = False
) -> reverting.RevertReport:
    """Give the rows that a cleansing mended their old values back, where nobody changed them since."""
    if dry_run:
        return reverting.rehearse(door.conn, of_run)
    return reverting.revert(door.conn, of_run, run=door.run)
