"""Put runs into the ledger, take ended ones up again, cancel. Publishing is the caller's, after commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, OcdError, PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.ledger import incidents
from ocd.ledger.states import State
from ocd.ledger.windows import Window

_ADD = statement(__file__, "add_run.sql")
_FIND = statement(__file__, "find_run.sql")
_REQUEUE = statement(__file__, "requeue_run.sql")
_CANCEL = statement(__file__, "cancel_run.sql")
_REFUSE = statement(__file__, "refuse_run.sql")


@dataclass(frozen=True)
class Order:
    """A run that somebody wants: which job, window, subject, with which arguments."""

    job: str
    window: Window
    queue: str
    params: Mapping[str, Any] = field(default_factory=dict)
    subject: Mapping[str, Any] = field(default_factory=dict)
    is_dry: bool = False
    flow: str | None = None
    trigger: str = "manual"
    requested_by: str | None = None
    deadline: timedelta | None = None
    backfill_id: int | None = None
    backfill_position: int | None = None


class What(StrEnum):
    """What came of an order."""

    NEW = "new"
    REQUEUED = "requeued"
    OPEN = "open"  # it is waiting, queued or running already
    DONE = "done"  # it is done already
    ENDED = "ended"  # it ended otherwise, and nobody asked to take it up again


@dataclass(frozen=True)
class Placed:
    """An order's run: `is_ready` says whether to publish it now."""

    run_id: int
    what: What
    is_ready: bool


def add(
    conn: Connection,
    order: Order,
    *,
    after: tuple[int, ...] = (),
    retry_ended: bool = False,
    force: bool = False,
) -> Placed:
    """Insert the run, or find it; it waits for the runs `after`. The caller commits, then publishes.

    `retry_ended` takes a failed, refused, cancelled or dead run up again; `force` also a done one.
    A run of a backfill waits until that lets it go.
    """
    is_held = order.backfill_id is not None or (after and not _all_done(conn, after))
    state = State.WAITING if is_held else State.QUEUED
    row = conn.execute(_ADD, _values(order, state)).first()
    if row is not None:
        _depend(conn, row.id, after)
        return Placed(row.id, What.NEW, state is State.QUEUED)
    found = conn.execute(_FIND, _identity(order)).one()
    if found.state in {State.WAITING, State.QUEUED, State.RUNNING}:
        _keep_deadline(conn, found.id, order)
        return Placed(found.id, What.OPEN, False)
    if found.state == State.DONE and not force:
        return Placed(found.id, What.DONE, False)
    if not (retry_ended or force):
        return Placed(found.id, What.ENDED, False)
    return _requeue(conn, found.id, order=order, force=force, alone=not after)


def states_of(conn: Connection, orders: list[Order]) -> list[State | None]:
    """Return the state of the real run of every order, None where there is none; one look-up for all."""
    if not orders:
        return []
    rows = conn.execute(
        text("""
            select job, window_start, window_end, subject, state from ocd.run
            where kind = 'real' and job = any(:jobs) and window_start between :first and :last
        """),
        {
            "jobs": sorted({order.job for order in orders}),
            "first": min(order.window.start for order in orders),
            "last": max(order.window.start for order in orders),
        },
    )
    found = {
        (row.job, row.window_start, row.window_end, _json(row.subject)): State(row.state)
        for row in rows
    }
    return [
        found.get((one.job, one.window.start, one.window.end, _json(one.subject))) for one in orders
    ]


def rerun(conn: Connection, run_id: int, *, force: bool, requested_by: str | None) -> Placed:
    """Take an ended run up again as it was ordered; the caller commits, then publishes.

    Raises ConfigError for an unknown run, PolicyRefused for an open one, or a done one without `force`.
    """
    found = conn.execute(
        text("select id, state from ocd.run where id = :id for update"), {"id": run_id}
    ).first()
    if found is None:
        raise ConfigError(f"there is no run {run_id}; see `ocd runs`")
    if found.state in {State.WAITING, State.QUEUED, State.RUNNING}:
        raise PolicyRefused(f"run {run_id} is {found.state}; wait for it or `ocd cancel {run_id}`")
    if found.state == State.DONE and not force:
        raise PolicyRefused(f"run {run_id} is done; `ocd rerun {run_id} --force` runs it once more")
    return _requeue(conn, run_id, order=None, force=force, alone=False, requested_by=requested_by)


def rerun_flow(conn: Connection, run_id: int, *, requested_by: str | None) -> list[Placed]:
    """Take up again what ended badly in the flow and window of a run; what waits for it goes on by itself.

    Returns nothing where all is well or under way. The caller commits, then publishes.
    Raises ConfigError for an unknown run and for one of no flow.
    """
    run = conn.execute(
        text("select flow, window_start, window_end from ocd.run where id = :id"), {"id": run_id}
    ).first()
    if run is None or run.flow is None:
        raise ConfigError(
            f"run {run_id} belongs to no flow; `ocd rerun {run_id}` takes it up by itself"
            if run
            else f"there is no run {run_id}; see `ocd runs`"
        )
    bad = conn.execute(
        text("""
            select id from ocd.run
            where flow = :flow and window_start = :window_start and window_end = :window_end and kind = 'real'
              and state in ('failed', 'refused', 'cancelled', 'dead')
            order by id for update
        """),
        run._asdict(),
    ).scalars()
    # In the order of the flow: a step behind one that was just queued has to wait for it.
    return [
        _requeue(conn, one, order=None, force=False, alone=False, requested_by=requested_by)
        for one in bad.all()
    ]


@dataclass(frozen=True)
class Cancelled:
    """A cancelled run: the state it is in now, and what it had done so far."""

    state: State
    done: int | None
    total: int | None
    note: str | None


def cancel(conn: Connection, run_id: int) -> Cancelled:
    """Cancel a run; a running one stops at its next batch. The caller commits.

    Raises ConfigError when the run does not exist or has ended.
    """
    row = conn.execute(_CANCEL, {"id": run_id}).first()
    if row is None:
        raise ConfigError(f"run {run_id} does not exist or has ended; see `ocd show {run_id}`")
    return Cancelled(State(row.state), row.progress_done, row.progress_total, row.progress_note)


def refuse(conn: Connection, run_id: int, error: OcdError, *, grace: timedelta) -> bool:
    """Refuse a queued run that nobody can carry out, once it has waited for `grace`. The caller commits.

    Returns whether it is refused now; its incident is opened with it.
    """
    row = conn.execute(
        _REFUSE,
        {
            "id": run_id,
            "grace_s": grace.total_seconds(),
            "error_class": type(error).__name__,
            "error_message": error.message,
        },
    ).first()
    if row is not None:
        incidents.open_for_run(conn, run_id)
    return row is not None


def _requeue(
    conn: Connection,
    run_id: int,
    *,
    order: Order | None,
    force: bool,
    alone: bool,
    requested_by: str | None = None,
) -> Placed:
    row = conn.execute(
        _REQUEUE,
        {
            "id": run_id,
            "force": force,
            "alone": alone,
            "params": None if order is None else _json(order.params),
            "trigger": None if order is None else order.trigger,
            "requested_by": requested_by if order is None else order.requested_by,
            "is_held": order is not None and order.backfill_id is not None,
            "backfill_id": None if order is None else order.backfill_id,
            "backfill_position": None if order is None else order.backfill_position,
        },
    ).one()
    return Placed(row.id, What.REQUEUED, row.state == State.QUEUED)


def _keep_deadline(conn: Connection, run_id: int, order: Order) -> None:
    """Give a run that somebody started early the deadline of its schedule."""
    if order.deadline is not None:
        conn.execute(
            text("update ocd.run set deadline_at = :at where id = :id and deadline_at is null"),
            {"id": run_id, "at": order.window.end + order.deadline},
        )


def _depend(conn: Connection, run_id: int, after: tuple[int, ...]) -> None:
    if after:
        conn.execute(
            text("insert into ocd.run_dependency (run_id, depends_on_id) values (:run_id, :after)"),
            [{"run_id": run_id, "after": before} for before in after],
        )


def _all_done(conn: Connection, run_ids: tuple[int, ...]) -> bool:
    # Shared locks keep a step from ending between this look and the insert of its successor.
    states = conn.execute(
        text("select state from ocd.run where id = any(:ids) for share"), {"ids": list(run_ids)}
    )
    return all(state == State.DONE for state in states.scalars())


def _identity(order: Order) -> dict[str, Any]:
    return {
        "job": order.job,
        "window_start": order.window.start,
        "window_end": order.window.end,
        "subject": _json(order.subject),
    }


def _values(order: Order, state: State) -> dict[str, Any]:
    deadline = None if order.deadline is None else order.window.end + order.deadline
    return _identity(order) | {
        "kind": "dry" if order.is_dry else "real",
        "window_label": order.window.label,
        "params": _json(order.params),
        "flow": order.flow,
        "queue": order.queue,
        "trigger": order.trigger,
        "requested_by": order.requested_by,
        "state": state.value,
        "deadline_at": deadline,
        "backfill_id": order.backfill_id,
        "backfill_position": order.backfill_position,
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"))
