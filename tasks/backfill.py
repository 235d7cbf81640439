"""Order a range of windows: which of them run, with what load, and the runs in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from ocd.ledger import backfills, enqueue, history
from ocd.ledger.backfills import Reprocess
from ocd.ledger.enqueue import Order
from ocd.ledger.states import State
from ocd.ledger.windows import Window
from tasks import runtime
from tasks.job import Job
from tasks.publish import publish_all


@dataclass(frozen=True)
class Range:
    """What somebody wants: the windows of a job, oldest first, and which of them to take."""

    job: Job[Any, Any]
    windows: list[Window]
    params: Mapping[str, Any]
    reprocess: Reprocess
    max_active: int
    is_reverse: bool

    def orders(self, *, requested_by: str | None = None) -> list[Order]:
        """Return the order of every window and subject, in the order in which they shall run."""
        windows = self.windows[::-1] if self.is_reverse else self.windows
        return [
            self.job.order(params, window, trigger="backfill", requested_by=requested_by)
            for window in windows
            for params in self.job.spread(self.params)
        ]


@dataclass(frozen=True)
class Plan:
    """Which windows run, and what that means: nothing here changes anything."""

    ordered: Range
    taken: tuple[tuple[Order, State | None], ...]
    left: tuple[tuple[Order, State | None], ...]
    typical_s: float | None

    @property
    def summary(self) -> str:
        """One line: how many runs, how many at once, how long it may take."""
        job = self.ordered.job
        text = f"{len(self.taken)} runs of {job.name}, at most {self.ordered.max_active} at once on queue {job.facts.queue}"
        if self.typical_s is not None and self.taken:
            text += f", about {self._expected_s():,.0f} s at {self.typical_s:.1f} s a run"
        return f"{text}; {len(self.left)} left alone"

    def _expected_s(self) -> float:
        rounds = -(-len(self.taken) // self.ordered.max_active)
        return rounds * (self.typical_s or 0.0)

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Yield window, subject and what happens with it, in the order in which they run."""
        for order, state in self.taken:
            why = "runs" if state is None else f"runs again (was {state.value})"
            yield order.window.label, _subject(order), why
        for order, state in self.left:
            yield (
                order.window.label,
                _subject(order),
                f"left alone ({state.value if state else ''})",
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for machines."""
        return {
            "job": self.ordered.job.name,
            "windows": [order.window.label for order, _ in self.taken],
            "left_alone": [
                {"window": order.window.label, "state": state} for order, state in self.left
            ],
            "max_active": self.ordered.max_active,
            "queue": self.ordered.job.facts.queue,
            "typical_s": self.typical_s,
        }


def plan(conn: Connection, ordered: Range) -> Plan:
    """Decide for every window whether it runs. Changes nothing."""
    orders = ordered.orders()
    states = enqueue.states_of(conn, orders)
    pairs = list(zip(orders, states, strict=True))
    return Plan(
        ordered,
        tuple(pair for pair in pairs if ordered.reprocess.takes(pair[1])),
        tuple(pair for pair in pairs if not ordered.reprocess.takes(pair[1])),
        history.typical_s(conn, ordered.job.name),
    )


def start(ordered: Range, *, requested_by: str | None) -> int | None:
    """Put the backfill and its runs into the ledger and let the first ones go; returns its id.

    None where no window is to run: nothing is written then. A window that somebody else orders
    meanwhile is theirs, never a second run.
    """
    with runtime.engine().begin() as conn:
        wanted = [order for order, _ in plan(conn, ordered).taken]
        if not wanted:
            return None
        backfill_id = backfills.open_backfill(
            conn,
            backfills.Plan(
                ordered.job.name,
                ordered.windows[0].label,
                ordered.windows[-1].label,
                ordered.reprocess,
                ordered.max_active,
                ordered.is_reverse,
                requested_by,
            ),
        )
        for place, order in enumerate(wanted):
            enqueue.add(
                conn,
                _held(order, backfill_id, place, requested_by),
                retry_ended=ordered.reprocess is not Reprocess.MISSING,
                force=ordered.reprocess is Reprocess.ALL,
            )
    with runtime.engine().begin() as conn:
        ready = backfills.let_go(conn, backfill_id)
    publish_all(ready)
    return backfill_id


def _held(order: Order, backfill_id: int, place: int, requested_by: str | None) -> Order:
    return replace(
        order, backfill_id=backfill_id, backfill_position=place, requested_by=requested_by
    )


def _subject(order: Order) -> str:
    return " ".join(map(str, order.subject.values()))
