"""What the ledger adds to a job: worker CPU against a bare Celery task, and the way from order to start."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import redis
from sqlalchemy import text

from benchmarks.figures import Figure
from benchmarks.ledger import home as homes
from benchmarks.ledger.jobs import bare, nothing
from ocd.core.errors import SourceUnavailable
from tasks import publish, runtime

JOBS_PER_ROUND = 500
ROUNDS = 9
SAMPLES = 100
#: Kombu's keys behind the application's prefix: messages that wait, and ones that nobody confirmed yet.
_QUEUE, _UNACKED = "ocd:short", "ocd:unacked"


class Line:
    """A worker's queue: send to it, wait until it is empty, see what that cost."""

    def __init__(self, worker: psutil.Process) -> None:
        self._worker = worker
        self._redis = redis.Redis(unix_socket_path=str(homes.socket_of(runtime.settings())))
        self._number = 0

    def bare(self, count: int) -> None:
        """Send bare tasks, with the message that a run has."""
        for number in self._numbers(count):
            bare.apply_async(
                (number,),
                {"label": "benchmark.nothing 2026-11-25"},
                task_id=f"bare-{number}-1",
                queue="short",
            )

    def ledger(self, count: int) -> None:
        """Order runs and send their messages."""
        placed = publish.place(
            [publish.order_now(nothing, {"number": number}) for number in self._numbers(count)]
        )
        assert all(one.is_ready for one in placed)

    def wait(self) -> None:
        """Return when every message was carried out and confirmed; raises SourceUnavailable after minutes."""
        deadline = time.monotonic() + 300
        empty_looks = 0
        # On its way from one key to the other a message is in neither, so one look is not enough.
        while empty_looks < 10:
            is_empty = not self._redis.llen(_QUEUE) and not self._redis.hlen(_UNACKED)
            empty_looks = empty_looks + 1 if is_empty else 0
            if time.monotonic() > deadline or not self._worker.is_running():
                raise SourceUnavailable("the worker does not empty its queue; see worker.log")
            time.sleep(0.03)

    def cpu_ms(self, send: Callable[[int], None], count: int) -> float:
        """Return the worker's CPU milliseconds per message of a round.

        Its main process is stopped while the messages are sent: both kinds then lie there at the start,
        though it takes longer to order a run than to send a message.
        """
        self._worker.suspend()
        send(count)
        before = homes.cpu_s(self._worker)
        self._worker.resume()
        self.wait()
        return 1000 * (homes.cpu_s(self._worker) - before) / count

    def _numbers(self, count: int) -> range:
        self._number += count
        return range(self._number - count, self._number)


def measure(home: Path, scale: float, tell: Callable[[str], None]) -> list[Figure]:
    """Measure both kinds of job on one worker, in alternating rounds."""
    count, samples = max(int(JOBS_PER_ROUND * scale), 5), max(int(SAMPLES * scale), 3)
    with homes.worker(home) as process:
        line = Line(process)
        for send in (line.bare, line.ledger):
            line.cpu_ms(send, max(count // 5, 5))
        pairs = []
        for number in range(ROUNDS):
            pairs.append((line.cpu_ms(line.bare, count), line.cpu_ms(line.ledger, count)))
            tell(
                f"worker: round {number + 1} of {ROUNDS}, {pairs[-1][0]:.2f} and {pairs[-1][1]:.2f} ms of CPU"
            )
        waits = [_start_ms(line) for _ in range(samples)]
        tell("worker: order to start measured")
    _check_all_done()
    # A round of five jobs may be shorter than the kernel's tick.
    ratios = [ledger / max(plain, 0.01) for plain, ledger in pairs]
    return [
        Figure(
            "worker CPU per job, with ledger / without", statistics.median(ratios), "x", 1.6, 1.5
        ),
        Figure("  without", statistics.median(plain for plain, _ in pairs), "ms"),
        Figure("  with", statistics.median(ledger for _, ledger in pairs), "ms"),
        Figure("  order to start on an idle worker, p50", statistics.median(waits), "ms"),
        Figure(
            "  order to start on an idle worker, p95", statistics.quantiles(waits, n=20)[-1], "ms"
        ),
    ]


def _start_ms(line: Line) -> float:
    """Return the milliseconds from the order to the claim of one run, both on the database's clock."""
    line.ledger(1)
    statement = text(
        "select extract(epoch from started_at - created_at) from ocd.run order by id desc limit 1"
    )
    waited = None
    while waited is None:
        line.wait()
        with runtime.engine().connect() as conn:
            waited = conn.execute(statement).scalar_one()
    return 1000 * float(waited)


def _check_all_done() -> None:
    with runtime.engine().connect() as conn:
        states = conn.execute(
            text("select distinct state from ocd.run where job = 'benchmark.nothing'")
        )
        found = set(states.scalars())
    assert found == {"done"}, f"runs ended {found}"
