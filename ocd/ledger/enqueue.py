"""Put runs into the ledger, take ended ones up again, cancel. Publishing is the caller's, after commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.ledger.states import State
from ocd.ledger.windows import Window

_ADD = statement(__file__, "add_run.sql")
_FIND = statement(__file__, "find_run.sql")
_REQUEUE = statement(__file__, "requeue_run.sql")
_CANCEL = statement(__file__, "cancel_run.sql")


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
    """
    state = State.WAITING if after and not _all_done(conn, after) else State.QUEUED
    row = conn.execute(_ADD, _values(order, state)).first()
    if row is not None:
        _depend(conn, row.id, after)
        return Placed(row.id, What.NEW, state is State.QUEUED)
    found = conn.execute(_FIND, _identity(order)).one()
    if found.state in {State.WAITING, State.QUEUED, State.RUNNING}:
        return Placed(found.id, What.OPEN, False)
    if found.state == State.DONE and not force:
        return Placed(found.id, What.DONE, False)
    if not (retry_ended or force):
        return Placed(found.id, What.ENDED, False)
    return _requeue(conn, found.id, order=order, force=force, alone=not after)


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


def cancel(conn: Connection, run_id: int) -> State:
    """Cancel a run; a running one stops at its next batch. Returns the state it is in now; commits not.

    Raises ConfigError when the run does not exist or has ended.
    """
    row = conn.execute(_CANCEL, {"id": run_id}).first()
    if row is None:
        raise ConfigError(f"run {run_id} does not exist or has ended; see `ocd show {run_id}`")
    return State(row.state)


def mark_published(conn: Connection, run_id: int) -> None:
    """Note that a message for the run is under way. The caller commits."""
    conn.execute(
        text("update ocd.run set published_at = clock_timestamp() where id = :id"), {"id": run_id}
    )


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
        },
    ).one()
    return Placed(row.id, What.REQUEUED, row.state == State.QUEUED)


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
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"))
