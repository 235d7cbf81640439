"""How fast a purge goes: until its time is up, resting where others wait or a replica falls behind."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, text

from ocd.ledger.run import Run
from ocd.lifecycle import policy

#: A replica this far behind is let catch up.
MAX_LAG_S = 10.0
_LOOK_EVERY_S = 1.0
# Null without a replica, and for logins that may not see one.
_LAG = text("select extract(epoch from max(replay_lag)) from pg_stat_replication")


@dataclass
class Pace:
    """The time that a purge has, and the rests that it takes."""

    budget: timedelta
    rested_s: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _looked: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the time is up; the batch at work still ends."""
        return self.took_s >= self.budget.total_seconds()

    @property
    def took_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def rest(self, conn: Connection, run: Run, took_s: float) -> None:
        """Rest after a batch that took so long, and while a replica is behind; raises what `run.check` raises."""
        self._sleep(run, policy.rest_s(took_s))
        while self._is_behind(conn) and not self.is_over:
            self._sleep(run, _LOOK_EVERY_S)

    def _is_behind(self, conn: Connection) -> bool:
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return False
        self._looked = time.monotonic()
        lag = conn.execute(_LAG).scalar_one()
        conn.rollback()
        return lag is not None and float(lag) > MAX_LAG_S

    def _sleep(self, run: Run, seconds: float) -> None:
        if seconds:
            time.sleep(seconds)
            self.rested_s += seconds
            run.check()
