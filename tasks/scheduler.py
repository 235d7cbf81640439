"""Beat's scheduler: a tick becomes a window's row in the ledger, not just a message.

So a tick is remembered even when no worker lives, and two beats do no harm: the window is one run.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import PersistentScheduler

from ocd.core.clock import utc_now
from tasks.flows import FLOWS, flow_named, place_flow
from tasks.job import JOBS, job_named
from tasks.publish import order_now, place

log = logging.getLogger(__name__)

FLOW_PREFIX = "flow."


class WindowScheduler(PersistentScheduler):  # type: ignore[misc]
    """Celery's persistent scheduler, placing runs for jobs and flows; other entries are sent as they are."""

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> Any:
        """Carry out a tick of one entry."""
        if entry.task not in JOBS and not entry.task.startswith(FLOW_PREFIX):
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        reserved = self.reserve(entry) if advance else entry
        tick(entry.task)
        return reserved


def tick(name: str) -> list[int]:
    """Place the last closed window of a job or flow; returns the runs' ids."""
    if name.startswith(FLOW_PREFIX):
        flow = flow_named(name.removeprefix(FLOW_PREFIX))
        placed = place_flow(flow, flow.cadence.last_closed(utc_now()), trigger="schedule")
    else:
        job = job_named(name)
        placed = place([order_now(job, params, trigger="schedule") for params in job.spread({})])
    log.info("ticked", extra={"entry": name, "runs": len(placed)})
    return [one.run_id for one in placed]


def known_entries() -> set[str]:
    """Return the task names that a schedule entry may have."""
    return set(JOBS) | {FLOW_PREFIX + flow.name for flow in FLOWS} | {"ledger.reconcile"}
