"""Backfills: a range of windows whose runs the ledger lets go a few at a time, whoever is watching."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.ledger.states import State

_READY = statement(__file__, "ready_backfill.sql")
_FINISH = statement(__file__, "finish_backfill.sql")
_LIST = statement(__file__, "list_backfills.sql")
_CANCEL = statement(__file__, "cancel_backfill.sql")


class Reprocess(StrEnum):
    """Which windows of the range run: never run; these and badly ended ones; done ones too."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"

    def takes(self, state: State | None) -> bool:
        """Whether a window whose run is in this state (None: there is none) runs. What is open never does."""
        if state is None:
            return True
        if state is State.DONE:
            return self is Reprocess.ALL
        is_bad_end = state in {State.FAILED, State.REFUSED, State.CANCELLED, State.DEAD}
        return is_bad_end and self is not Reprocess.MISSING


@dataclass(frozen=True)
class Plan:
    """A backfill as it was asked for."""

    job: str
    first_label: str
    last_label: str
    reprocess: Reprocess
    max_active: int
    is_reverse: bool = False
    requested_by: str | None = None


def open_backfill(conn: Connection, plan: Plan) -> int:
    """Insert a backfill without runs; returns its id. The caller adds runs, lets go, commits, publishes."""
    found = conn.execute(
        text("""
            insert into ocd.backfill (job, first_label, last_label, reprocess, max_active, is_reverse, requested_by)
            values (:job, :first_label, :last_label, :reprocess, :max_active, :is_reverse, :requested_by)
            returning id
        """),
        {
            "job": plan.job,
            "first_label": plan.first_label,
            "last_label": plan.last_label,
            "reprocess": plan.reprocess.value,
            "max_active": plan.max_active,
            "is_reverse": plan.is_reverse,
            "requested_by": plan.requested_by,
        },
    )
    return int(found.scalar_one())


def let_go(conn: Connection, backfill_id: int) -> list[int]:
    """Ready the next runs of a backfill, or end it; returns the ready ones. The caller commits and publishes."""
    conn.execute(text("select id from ocd.backfill where id = :id for update"), {"id": backfill_id})
    ready = [row.id for row in conn.execute(_READY, {"id": backfill_id})]
    if not ready:
        conn.execute(_FINISH, {"id": backfill_id})
    return ready


def cancel(conn: Connection, backfill_id: int) -> tuple[int, int]:
    """Stop a backfill; returns how many runs are cancelled, and how many stop at their next batch.

    Raises ConfigError when it does not exist or has ended. The caller commits.
    """
    conn.execute(text("select id from ocd.backfill where id = :id for update"), {"id": backfill_id})
    row = conn.execute(_CANCEL, {"id": backfill_id}).first()
    if row is None:
        raise ConfigError(
            f"backfill {backfill_id} does not exist or has ended; see `ocd backfills`"
        )
    conn.execute(_FINISH, {"id": backfill_id})
    return row.stopped, row.stopping


def backfills(
    conn: Connection, *, backfill_id: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return backfills with the states of their runs, newest first."""
    rows = conn.execute(_LIST, {"id": backfill_id, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def backfill(conn: Connection, backfill_id: int) -> dict[str, Any]:
    """Return one backfill; raises ConfigError for an unknown one."""
    found = backfills(conn, backfill_id=backfill_id)
    if not found:
        raise ConfigError(f"there is no backfill {backfill_id}; see `ocd backfills`")
    return found[0]


def open_ids(conn: Connection) -> list[int]:
    """Return the ids of the backfills that have not ended."""
    return list(
        conn.execute(
            text("select id from ocd.backfill where finished_at is null order by id")
        ).scalars()
    )
