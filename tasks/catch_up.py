"""Place the windows that beat missed, as far as each job's catch-up policy goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocd.core.db import now_of
from ocd.ledger import pauses, schedules
from ocd.ledger.enqueue import Placed
from ocd.ledger.policy import windows_in_reach
from ocd.ledger.windows import Cadence, Window
from tasks import runtime
from tasks.flows import flow_named, place_flow
from tasks.job import Job, job_named
from tasks.publish import place

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scheduled:
    """An entry of beat's schedule: its cadence, its jobs, and how some of them are placed for a window."""

    name: str
    cadence: Cadence
    jobs: tuple[Job[Any, Any], ...]
    place: Callable[[Window, Callable[[str], bool]], list[Placed]]


def scheduled() -> list[Scheduled]:
    """Return the flows and jobs of the schedule that beat runs by here."""
    from tasks.app import app

    return entries(app.conf.beat_schedule)


def entries(schedule: Mapping[str, Mapping[str, Any]]) -> list[Scheduled]:
    """Return the flows and jobs of a schedule; housekeeping has no windows."""
    from tasks.ledger import HOUSEKEEPING

    names = {entry["task"] for entry in schedule.values()}
    return [_entry(name) for name in sorted(names - HOUSEKEEPING)]


def catch_up() -> list[int]:
    """Place every missed window within the policies, oldest first; returns the ids of the new runs."""
    return [run_id for entry in scheduled() for run_id in _catch_up(entry)]


def _catch_up(entry: Scheduled) -> list[int]:
    with runtime.engine().begin() as conn:
        since = schedules.since(conn, entry.name, str(entry.cadence))
        reach = _reach(entry, since=since, now=now_of(conn), paused=pauses.paused_names(conn))
        windows = sorted({window for found in reach.values() for window in found})
        if not windows:
            return []
        known = schedules.known_windows(conn, reach, since=windows[0].start)
    return [
        run_id
        for window in windows
        if any(window in reach[job] and window.start not in known[job] for job in reach)
        for run_id in _place(entry, window, reach)
    ]


def _reach(
    entry: Scheduled, *, since: datetime, now: datetime, paused: frozenset[str]
) -> dict[str, list[Window]]:
    """Return per job the windows that it is to have a run for by now; none for what is paused."""
    return {
        job.name: []
        if pauses.is_paused(job.name, paused) or pauses.is_paused(entry.name, paused)
        else windows_in_reach(entry.cadence, job.facts.catch_up, since=since, now=now)
        for job in entry.jobs
    }


def _place(entry: Scheduled, window: Window, reach: dict[str, list[Window]]) -> list[int]:
    # Not the missing ones alone: a step that is there already may be what a missing one waits for.
    placed = entry.place(window, lambda job: window in reach[job])
    log.info("caught_up", extra={"entry": entry.name, "window": window.label, "runs": len(placed)})
    return [one.run_id for one in placed]


def _entry(name: str) -> Scheduled:
    if name.startswith("flow."):
        flow = flow_named(name.removeprefix("flow."))
        jobs = tuple(job_named(step.job) for step in flow.steps)
        return Scheduled(
            name,
            flow.cadence,
            jobs,
            lambda window, takes: place_flow(flow, window, trigger="catch_up", takes=takes),
        )
    job = job_named(name)
    return Scheduled(
        name,
        job.cadence,
        (job,),
        lambda window, _: place(
            [job.order(one, window, trigger="catch_up") for one in job.spread({})]
        ),
    )
