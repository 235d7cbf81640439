"""What a test orders, sends and reads: runs of the test jobs, straight in the ledger and in Redis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from celery import Celery
from sqlalchemy import Engine, NullPool, create_engine

from ocd.core.db import sqlalchemy_url
from ocd.ledger import enqueue
from ocd.ledger.windows import Every, Window
from tests.crash.processes import until
from tests.crash.servers import Servers

#: Windows of the test jobs; any instant of the past does.
CADENCE = Every(timedelta(seconds=2), delay=timedelta(0))
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Ledger(Servers):
    """The servers, with their ledger and their queue."""

    _sender: Celery | None = None

    def start(self) -> None:
        super().start()
        self._sender = Celery("sender", broker=self.redis_url, set_as_current=False)
        self._sender.conf.broker_transport_options = {"global_keyprefix": "ocd:"}
        self._sender.conf.task_default_queue = "short"

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()
        super().close()

    def window(self, number: int) -> Window:
        """Return the test window of a number."""
        return CADENCE.containing(FIRST + number * CADENCE.length)

    def order(self, job: str, window: int = 0, **params: Any) -> int:
        """Put a run of the test window of that number into the ledger as queued and sent; sends nothing."""
        order = enqueue.Order(job, self.window(window), "short", params=params)
        with self._worker_engine().begin() as conn:
            return enqueue.add(conn, order).run_id

    def _worker_engine(self) -> Engine:
        return create_engine(sqlalchemy_url(self.database_url), poolclass=NullPool)

    def order_night(self, job: str, window: Window, **params: Any) -> int:
        """Order a job of the night, or take its run up again; sends nothing."""
        order = enqueue.Order(job, window, "long", params=params, subject=params)
        with self._worker_engine().begin() as conn:
            return enqueue.add(conn, order, retry_ended=True, force=True).run_id

    def rerun(self, run_id: int) -> None:
        """Take an ended run up again, as `ocd rerun` does; the next sweep sends it."""
        with self._worker_engine().begin() as conn:
            enqueue.rerun(conn, run_id, force=False, requested_by="operator")

    def wait_for_end(self, run_id: int, timeout_s: float = 40.0) -> None:
        until(
            lambda: self.value("select finished_at is not null from ocd.run where id = %s", run_id),
            f"run {run_id} ends",
            timeout_s,
        )

    def send(self, job: str, *arguments: Any, **keywords: Any) -> None:
        """Send a message as anybody with access to Redis could."""
        assert self._sender is not None
        self._sender.send_task(job, args=arguments, kwargs=keywords, queue="short")

    def start_run(self, job: str, window: int = 0, **params: Any) -> int:
        """Order a run and send its message."""
        run_id = self.order(job, window, **params)
        self.send(job, run_id)
        return run_id

    def run(self, run_id: int) -> dict[str, Any]:
        """Return the ledger's row of a run, as columns."""
        (found,) = self.rows("select to_jsonb(r) from ocd.run r where id = %s", run_id)
        return dict(found[0])

    def state(self, run_id: int) -> str:
        return str(self.value("select state from ocd.run where id = %s", run_id))

    def outcomes(self, run_id: int) -> list[str | None]:
        """Return how each attempt ended, oldest first; None for one that has not."""
        found = self.rows(
            "select outcome from ocd.attempt where run_id = %s order by fence", run_id
        )
        return [row[0] for row in found]

    def wait_for_state(self, run_id: int, state: str, timeout_s: float = 20.0) -> None:
        until(
            lambda: self.state(run_id) == state,
            f"run {run_id} is {state}",
            timeout_s,
        )

    def wait_all_done(self, timeout_s: float = 30.0) -> None:
        until(
            lambda: not self.value("select count(*) from ocd.run where state <> 'done'"),
            "every run is done",
            timeout_s,
        )

    def effects(self, run_id: int) -> list[tuple[int, int, int]]:
        """Return every effect of a run: batch, row, fence, in order."""
        return [
            tuple(row)
            for row in self.rows(
                "select batch, row, fence from public.chaos_effect where run_id = %s order by 1, 2, 3",
                run_id,
            )
        ]

    def process_of(self, run_id: int) -> psutil.Process:
        """Return the pool process that works on a run."""
        return psutil.Process(int(self.run(run_id)["worker"].rpartition(":")[2]))
