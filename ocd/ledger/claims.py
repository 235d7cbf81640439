"""Take a run, and end it: the two ends of every attempt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from ocd.core.errors import LeaseLost
from ocd.core.sqlfiles import statement
from ocd.ledger.run import Run
from ocd.ledger.states import MAX_ATTEMPTS, State
from ocd.ledger.windows import Window

_CLAIM = statement(__file__, "claim_run.sql")
_FINISH = statement(__file__, "finish_run.sql")
_READY = statement(__file__, "ready_successors.sql")


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


def claim(engine: Engine, run_id: int, *, worker: str, lease_s: float) -> Run | None:
    """Take the run; None when it is done, held by another, not due yet, or unknown. Commits."""
    with engine.begin() as conn:
        row = conn.execute(
            _CLAIM,
            {"id": run_id, "worker": worker, "lease_s": lease_s, "max_attempts": MAX_ATTEMPTS},
        ).first()
    if row is None:
        return None
    return Run(
        id=row.id,
        job=row.job,
        window=Window(row.window_start, row.window_end),
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


def finish(conn: Connection, run: Run, ending: Ending) -> list[int]:
    """End the attempt; returns the ids of the runs that became ready by it. The caller commits.

    Raises LeaseLost when another worker holds the run now.
    """
    row = conn.execute(
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
        },
    ).first()
    if row is None:
        raise LeaseLost(
            f"run {run.id}: fence {run.fence} is no longer the newest; its outcome is not recorded"
        )
    if ending.state is not State.DONE or run.is_dry:
        return []
    return [ready.id for ready in conn.execute(_READY, {"id": run.id})]
