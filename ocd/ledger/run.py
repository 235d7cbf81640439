"""The handle of a claimed run: batches committed under its fence, progress, cancellation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ocd.core.errors import LeaseLost, RunCancelled, RunDrained
from ocd.core.sqlfiles import statement
from ocd.ledger.evidence import Report, Settled, to_evidence
from ocd.ledger.windows import Window

_ADVANCE = statement(__file__, "advance_run.sql")

#: Progress is shown at most this often; each write renews the lease as well.
PROGRESS_EVERY_S = 1.0
#: How often this process looks whether a lease is to be renewed: well within a third of the shortest one.
LEASE_LOOK_S = 0.1


@dataclass
class Batch:
    """What one batch wants the ledger to remember when it commits.

    `report` is for the last batch of a deed that cannot be asked for twice: its outcome commits with it,
    and an attempt that follows a crash ends with that instead of beginning anew.
    """

    done: int | None = None
    total: int | None = None
    note: str | None = None
    checkpoint: dict[str, Any] | None = None
    report: Report | None = None

    def progress(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """Set the progress shown with this batch: units done, of how many, in words."""
        self.done, self.total, self.note = done, total, note


@dataclass
class Run:
    """A run that this process holds the lease of.

    `now` is the database's clock when it was claimed. `checkpoint` is what an earlier attempt left
    in its last committed batch, None at the first. `report_progress` and `is_draining` come from the
    task layer.
    """

    id: int
    job: str
    window: Window
    params: Mapping[str, Any]
    generation: int
    attempt: int
    fence: int
    now: datetime
    engine: Engine
    lease_s: float
    is_dry: bool = False
    checkpoint: dict[str, Any] | None = None
    report_progress: Callable[[str], None] = lambda text: None
    is_draining: Callable[[], bool] = lambda: False
    _cancelled: bool = False
    _renewed_at: float = field(default_factory=time.monotonic)
    _shown_at: float = 0.0

    @property
    def settled(self) -> Settled | None:
        """What an earlier attempt came to, where it committed all of its work and did not live to say so."""
        kept = (self.checkpoint or {}).get("settled")
        return None if kept is None else Settled(kept["rows"], kept["evidence"])

    @contextmanager
    def batch(self, conn: Connection) -> Iterator[Batch]:
        """Run the body in one transaction of `conn` that commits only while the lease is ours.

        Raises LeaseLost (rolled back), or after the commit RunCancelled or RunDrained.
        """
        if conn.in_transaction():
            conn.rollback()  # a read before the batch opened one; it holds nothing of ours
        with conn.begin():
            batch = Batch()
            yield batch
            self._advance(conn, batch)
        self._show(batch)
        if batch.report is None:  # else there is nothing left to stop
            self.check()

    def progress(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """Show progress of long work outside batches, throttled; commits on its own connection.

        Raises LeaseLost, RunCancelled or RunDrained: call it where stopping is safe.
        """
        if time.monotonic() - self._shown_at >= PROGRESS_EVERY_S:
            batch = Batch(done, total, note)
            with self.engine.begin() as conn:
                self._advance(conn, batch)
            self._show(batch)
        self.check()

    def check(self) -> None:
        """Raise RunCancelled or RunDrained if the run shall stop here."""
        if self._cancelled:
            raise RunCancelled(f"run {self.id}: cancelled on request")
        if self.is_draining():
            raise RunDrained(
                f"run {self.id}: the worker is shutting down; the run goes back to the queue"
            )

    def _advance(self, conn: Connection, batch: Batch) -> None:
        row = conn.execute(
            _ADVANCE,
            {
                "id": self.id,
                "fence": self.fence,
                "lease_s": self.lease_s,
                "done": batch.done,
                "total": batch.total,
                "note": batch.note,
                "checkpoint": _kept(batch),
            },
        ).first()
        if row is None:
            raise LeaseLost(
                f"run {self.id}: fence {self.fence} is no longer the newest; this batch is rolled back"
            )
        self._cancelled = self._cancelled or row.is_cancel_requested
        self._renewed_at = time.monotonic()

    def _show(self, batch: Batch) -> None:
        if batch.done is None or time.monotonic() - self._shown_at < PROGRESS_EVERY_S:
            return
        self._shown_at = time.monotonic()
        of = f"/{batch.total:,}" if batch.total is not None else ""
        self.report_progress(f"{batch.done:,}{of} {batch.note or ''}".strip())

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Renew the lease from a thread while the body runs one long statement after another.

        A stopped or killed process stops renewing, so its run is taken over; work that hangs is
        bounded by Celery's time limits. The renewal never counts as progress.
        """
        _keeper.hold(self)
        try:
            yield
        finally:
            _keeper.let_go(self)

    def renew(self) -> None:
        """Renew the lease where a third of it has passed since anything renewed it, or tried to."""
        if time.monotonic() - self._renewed_at < self.lease_s / 3:
            return
        self._renewed_at = time.monotonic()
        # Lost: the next batch finds out by itself. The database away: the lease may live when it is back.
        with suppress(LeaseLost, SQLAlchemyError), self.engine.begin() as conn:
            self._advance(conn, Batch())


def _kept(batch: Batch) -> str | None:
    if batch.report is not None:
        settled = {"rows": batch.report.rows, "evidence": to_evidence(batch.report)}
        return json.dumps({"settled": settled})
    return None if batch.checkpoint is None else json.dumps(batch.checkpoint)


class _Keeper:
    """One thread per process that renews the leases of the runs it works on.

    It looks now and then, and ends when there is nothing to hold: a thread for each run would cost a
    short job as much as the statements that it needs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, Run] = {}
        self._thread: threading.Thread | None = None

    def hold(self, run: Run) -> None:
        with self._lock:
            self._held[id(run)] = run
            # A forked child inherits a thread that does not run in it.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._thread.start()

    def let_go(self, run: Run) -> None:
        with self._lock:
            del self._held[id(run)]

    def _keep(self) -> None:
        while held := self._look():
            for run in held:
                run.renew()

    def _look(self) -> list[Run]:
        time.sleep(LEASE_LOOK_S)
        with self._lock:
            held = list(self._held.values())
            if not held:
                self._thread = None
            return held


_keeper = _Keeper()
