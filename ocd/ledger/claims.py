"""Take a run, and end it: the two ends of every attempt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

from ocd.core.db import autocommit, on_driver
from ocd.core.errors import LeaseLost
from ocd.core.sqlfiles import statement
from ocd.ledger import incidents
from ocd.ledger.run import Run
from ocd.ledger.states import MAX_ATTEMPTS, State
from ocd.ledger.windows import Window

_CLAIM = statement(__file__, "claim_run.sql")
_FINISH = statement(__file__, "finish_run.sql")
_LOCK = statement(__file__, "lock_successors.sql")
_READY = statement(__file__, "ready_successors.sql")

#: A bigint's end: a larger id in a message is no run of ours.
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: the run's next state, and what the attempt itself came to."""

    state: State
    outcome: str
    rows: int | None = None
    evidence: dict[str, Any] | None = None
    error_class: str | None = None
    error_message: str | None = None
    traceback: str | None = None
    delay_s: float = 0.0


def claim(engine: Engine, run_id: int, *, job: str, worker: str, lease_s: float) -> Run | None:
    """Take the run; None when it is done, held by another, not due yet, of another job, or unknown. Commits."""
    if not 0 < run_id <= MAX_ID:
        return None
    with autocommit(engine) as conn:
        row = on_driver(
            conn,
            _CLAIM,
            {
                "id": run_id,
                "job": job,
                "worker": worker,
                "lease_s": lease_s,
                "max_attempts": MAX_ATTEMPTS,
            },
        ).fetchone()
    if row is None:
        return None
    return Run(
        id=row.id,
        job=row.job,
        window=Window(row.window_start, row.window_end, row.window_label),
        params=row.params,
        generation=row.generation,
        attempt=row.attempt,
        fence=row.fence,
        now=row.claimed_at,
        engine=engine,
        lease_s=lease_s,
        is_dry=row.kind == "dry",
        checkpoint=row.checkpoint,
    )


@dataclass(frozen=True)
class Ended:
    """What an ending set free: runs to publish, and the backfill that may let its next run go."""

    ready: tuple[int, ...] = ()
    backfill_id: int | None = None


def finish(conn: Connection, run: Run, ending: Ending, lines: str | None = None) -> Ended:
    """End the attempt; the runs that became ready by it are in the answer. The caller commits.

    Opens an incident where a real run ended badly, closes those that a done one mends. `lines`: what the
    attempt logged last, as `loglines` collects it.
    Raises LeaseLost when another worker holds the run now.
    """
    row = on_driver(
        conn,
        _FINISH,
        {
            "id": run.id,
            "fence": run.fence,
            "state": ending.state.value,
            "outcome": ending.outcome,
            "rows": ending.rows,
            "evidence": None if ending.evidence is None else json.dumps(ending.evidence),
            "error_class": ending.error_class,
            "error_message": ending.error_message,
            "traceback": ending.traceback,
            "delay_s": ending.delay_s,
            "lines": lines,
        },
    ).fetchone()
    if row is None:
        raise LeaseLost(
            f"run {run.id}: fence {run.fence} is no longer the newest; its outcome is not recorded"
        )
    if ending.state in {State.FAILED, State.REFUSED} and not run.is_dry:
        incidents.open_for_run(conn, run.id)
    is_good = ending.state is State.DONE and not run.is_dry
    is_end = ending.state not in {State.QUEUED, State.WAITING}
    return Ended(
        _ready_successors(conn, run.id) if is_good and row.is_followed else (),
        row.backfill_id if is_end else None,
    )


def recorded(conn: Connection, run: Run, ending: Ending) -> Ended | None:
    """Return what this ending set free if it stands in the ledger: its commit arrived, its answer did not."""
    row = conn.execute(
        text("""
            select a.outcome, r.backfill_id, array(
              select s.id from ocd.run_dependency d join ocd.run s on s.id = d.run_id
              where d.depends_on_id = r.id and s.state = 'queued' order by s.id) as ready
            from ocd.attempt a join ocd.run r on r.id = a.run_id where a.run_id = :id and a.fence = :fence
        """),
        {"id": run.id, "fence": run.fence},
    ).one()
    return Ended(tuple(row.ready), row.backfill_id) if row.outcome == ending.outcome else None


def _ready_successors(conn: Connection, run_id: int) -> tuple[int, ...]:
    # Two statements on purpose: two steps before the same one may end at the same moment. The second to get
    # the lock then looks with a new snapshot, in which the first has ended.
    waiting = [row.id for row in conn.execute(_LOCK, {"id": run_id})]
    if not waiting:
        return ()
    return tuple(row.id for row in conn.execute(_READY, {"ids": waiting}))
