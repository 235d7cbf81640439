"""Beat's scheduler: a tick becomes a window's row in the ledger, not just a message.

So a tick is remembered even when no worker lives, and two beats do no harm: the window is one run.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.beat import PersistentScheduler
from sqlalchemy.exc import DBAPIError

from ocd.core.errors import OcdError
from ocd.ledger import pauses, reconcile
from tasks import runtime
from tasks.flows import FLOWS, flow_named, place_flow
from tasks.job import JOBS, job_named
from tasks.ledger import HOUSEKEEPING
from tasks.publish import place, send_housekeeping

log = logging.getLogger(__name__)

FLOW_PREFIX = "flow."
#: Beat shows that it lives this often.
BEAT_EVERY_S = 20.0


class WindowScheduler(PersistentScheduler):  # type: ignore[misc]
    """Celery's persistent scheduler, placing runs for jobs and flows; other entries are sent as they are."""

    _beaten_at = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Send what is due, and leave a heartbeat; returns the seconds until something is due again."""
        if time.monotonic() - self._beaten_at >= BEAT_EVERY_S:
            self._beaten_at = time.monotonic()
            _show_life()
        return min(super().tick(*args, **kwargs), BEAT_EVERY_S)

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> Any:
        """Carry out a tick of one entry."""
        is_placed = entry.task in JOBS or entry.task.startswith(FLOW_PREFIX)
        if not is_placed and entry.task not in HOUSEKEEPING:
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        reserved = self.reserve(entry) if advance else entry
        if is_placed:
            tick(entry.task)
        else:
            send_housekeeping(entry.task, expires_s=entry.options["expires"])
        return reserved


def _show_life() -> None:
    try:
        reconcile.heard(runtime.engine("beat"), "beat")
    except (DBAPIError, OcdError) as error:
        # Without a database there is nothing to show it to; ticks fail too, and are made up for later.
        log.warning("beat_not_heard", extra={"error": type(error).__name__})


def tick(name: str) -> list[int]:
    """Place the newest window of a job or flow that is due, unless it is paused; returns the runs' ids.

    Due on the database's clock: a beat whose own clock is fast or slow orders the same windows. Often
    it finds the window there already, and nothing happens.
    """
    now = runtime.now()
    with runtime.engine().connect() as conn:
        paused = pauses.paused_names(conn)
    if pauses.is_paused(name, paused):
        log.info("tick_paused", extra={"entry": name})
        return []
    if name.startswith(FLOW_PREFIX):
        flow = flow_named(name.removeprefix(FLOW_PREFIX))
        placed = place_flow(
            flow,
            flow.cadence.last_due(now),
            trigger="schedule",
            takes=lambda job: not pauses.is_paused(job, paused),
        )
    else:
        job = job_named(name)
        window = job.cadence.last_due(now)
        placed = place([job.order(one, window, trigger="schedule") for one in job.spread({})])
    new = [one.run_id for one in placed if one.is_ready]
    if new:
        log.info("ticked", extra={"entry": name, "runs": len(new)})
    return [one.run_id for one in placed]


def known_entries() -> set[str]:
    """Return the task names that a schedule entry may have."""
    return set(JOBS) | {FLOW_PREFIX + flow.name for flow in FLOWS} | set(HOUSEKEEPING)
