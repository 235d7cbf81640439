"""The states of a run and what may follow what. Pure."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """`waiting` → `queued` → `running` → one of the ends.

    A run waits for a step before it, for its hour (`not_before`), or for its backfill to let it go.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    DEAD = "dead"


#: A run in one of these has ended.
ENDS = frozenset({State.DONE, State.FAILED, State.REFUSED, State.CANCELLED, State.DEAD})
#: `rerun` takes these up again; a done run only when forced.
RERUNNABLE = ENDS - {State.DONE}
#: An attempt and two more; also the number of crashes after which a run is dead.
MAX_ATTEMPTS = 3
