"""The handle of a claimed run: batches committed under its fence, progress, cancellation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from ocd.core.errors import LeaseLost, RunCancelled, RunDrained
from ocd.core.sqlfiles import statement
from ocd.ledger.windows import Window

_ADVANCE = statement(__file__, "advance_run.sql")

#: Progress is shown at most this often; each write renews the lease as well.
PROGRESS_EVERY_S = 1.0


@dataclass
class Batch:
    """What one batch wants the ledger to remember when it commits."""

    done: int | None = None
    total: int | None = None
    note: str | None = None
    checkpoint: dict[str, Any] | None = None

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
    _stop: threading.Event = field(default_factory=threading.Event)
    _cancelled: bool = False
    _renewed_at: float = field(default_factory=time.monotonic)
    _shown_at: float = 0.0

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
        checkpoint = None if batch.checkpoint is None else json.dumps(batch.checkpoint)
        row = conn.execute(
            _ADVANCE,
            {
                "id": self.id,
                "fence": self.fence,
                "lease_s": self.lease_s,
                "done": batch.done,
                "total": batch.total,
                "note": batch.note,
                "checkpoint": checkpoint,
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
        thread = threading.Thread(target=self._renew, name=f"lease-{self.id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(timeout=5)

    def _renew(self) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        every = self.lease_s / 3
        while not self._stop.wait(every):
            if time.monotonic() - self._renewed_at < every:
                continue
            try:
                with self.engine.begin() as conn:
                    self._advance(conn, Batch())
            except LeaseLost:
                return  # the next batch finds out by itself and rolls back
            except SQLAlchemyError:
                continue  # the database is away; the lease may still be alive when it is back
