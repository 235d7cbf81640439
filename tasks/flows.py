"""Flows: which jobs belong together, and what waits for what. The ledger carries them, no chord."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ocd.core.errors import UnknownName
from ocd.ledger import enqueue
from ocd.ledger.enqueue import Placed
from ocd.ledger.windows import Cadence, Daily, Window
from tasks import runtime
from tasks.job import job_named
from tasks.publish import publish_all


@dataclass(frozen=True)
class Step:
    """One job of a flow; it starts when every job in `after` is done."""

    job: str
    after: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Flow:
    """Steps in an order in which each comes behind those it waits for.

    `closing` are jobs that show how it went, above all when it went badly, so they wait for no step: beat
    orders them some hours later by their own cadence, `ocd night` once nothing moves any more.
    """

    name: str
    description: str
    days: Cadence
    steps: tuple[Step, ...]
    closing: tuple[str, ...] = ()

    @property
    def cadence(self) -> Cadence:
        """The flow's cadence, days being those of the shop."""
        return self.days.in_zone(runtime.configured().zone())


NIGHT = Flow(
    "night",
    "Copy, prove the copy, check quality, then purge what is past retention; refresh and roll up beside it.",
    Daily(hour=2),
    (
        Step("lifecycle.backup"),
        Step("lifecycle.verify", after=("lifecycle.backup",)),
        # Findings never fail a check; they close gates, each of one table. A check that could not be made
        # holds all purges back: nothing is deleted on what was true yesterday.
        Step("quality.check"),
        Step("lifecycle.purge", after=("lifecycle.verify", "quality.check")),
        # Not behind the purge: what an open one leans on stays, and a refused one must not fill the disk.
        Step("lifecycle.rotate", after=("lifecycle.verify",)),
        Step("sources.refresh_ga"),
        Step("sources.snapshot_sitemap"),
        Step("warehouse.rollup"),
    ),
    closing=("lifecycle.page",),
)

FLOWS = (NIGHT,)


def flow_named(name: str) -> Flow:
    """Return the flow of that name; raises UnknownName."""
    for flow in FLOWS:
        if flow.name == name:
            return flow
    raise UnknownName("flow", name, (flow.name for flow in FLOWS))


def place_flow(
    flow: Flow,
    window: Window,
    *,
    trigger: str,
    requested_by: str | None = None,
    retry_ended: bool = False,
    takes: Callable[[str], bool] = lambda job: True,
) -> list[Placed]:
    """Put the steps of a flow into the ledger in one transaction, then send the ready ones.

    A job that `takes` leaves out is left out together with every step behind it.
    """
    with runtime.engine().begin() as conn:
        placed = _add_steps(conn, flow, window, trigger, requested_by, retry_ended, takes)
    publish_all(one.run_id for one in placed if one.is_ready)
    return placed


def _add_steps(
    conn: Connection,
    flow: Flow,
    window: Window,
    trigger: str,
    requested_by: str | None,
    retry_ended: bool,
    takes: Callable[[str], bool],
) -> list[Placed]:
    runs_of: dict[str, list[Placed]] = {}
    for step in flow.steps:
        if not takes(step.job) or any(before not in runs_of for before in step.after):
            continue
        job = job_named(step.job)
        after = tuple(one.run_id for before in step.after for one in runs_of[before])
        runs_of[step.job] = [
            enqueue.add(
                conn,
                job.order(
                    params, window, trigger=trigger, requested_by=requested_by, flow=flow.name
                ),
                after=after,
                retry_ended=retry_ended,
            )
            for params in job.spread(step.params)
        ]
    return [one for placed in runs_of.values() for one in placed]
