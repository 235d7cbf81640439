"""Jobs of the quality room."""

from __future__ import annotations

from ocd.core.db import engine_for
from ocd.quality import check as checks
from ocd.quality.files import chosen, load
from ocd.quality.policy import Mode
from ocd.quality.rule import Rule
from tasks.job import JOBS, Door, job


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
        reader=engine_for(door.settings.reader_url(), "quality"),
        known={one.id for one in rules},
        stops=[one.name for one in JOBS.values() if one.facts.gated_by],
    )
