"""What there is to look after: every job, with what the schedule promises of it."""

from __future__ import annotations

from beat_schedule import SCHEDULE
from ocd.ledger.observe import Watched
from tasks import registry
from tasks.catch_up import entries


def watched() -> tuple[Watched, ...]:
    """Return every job, in the order of the schedule, those that only people order last."""
    found = {
        job.name: Watched(job.name, entry.name, entry.cadence, job.facts.deadline)
        for entry in entries(SCHEDULE)  # not Celery's settings: these would start Redis for a look
        for job in entry.jobs
    }
    on_demand = {
        name: Watched(name, None, job.cadence, job.facts.deadline)
        for name, job in sorted(registry.JOBS.items())
        if name not in found
    }
    return tuple((found | on_demand).values())
