"""What a claim costs when workers compete: every run delivered twice, against a bare queue table."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Engine, NullPool, create_engine, text

from benchmarks.figures import Figure
from benchmarks.ledger.home import fresh_database
from ocd.core.db import close_engines, engine_for, now_of, sqlalchemy_url
from ocd.core.sqlfiles import statement
from ocd.ledger import claims
from ocd.ledger.claims import Ending
from ocd.ledger.states import State

PROCESSES = 8
RUNS = 10_000
ROUNDS = 3
JOB = "warehouse.rollup"

_QUEUED = statement(__file__, "add_queued.sql")
_ONCE = statement(__file__, "count_once.sql")
_TABLE = """
    create table public.bare_queue (id bigint primary key, state text not null, taken_at timestamptz, done_at timestamptz);
    create index bare_queue_idx on public.bare_queue (id) where state = 'queued';
    grant select, insert, update, delete, truncate on public.bare_queue to ocd_worker
"""
_TAKE = text("""
    update bare_queue set state = 'running', taken_at = clock_timestamp()
    where id = (select id from bare_queue where state = 'queued' order by id for update skip locked limit 1) returning id
""")
_DONE = text("update bare_queue set state = 'done', done_at = clock_timestamp() where id = :id")


def measure(scale: float, seed: int, tell: Callable[[str], None]) -> list[Figure]:
    """Let processes compete for the same number of rows in both, in alternating rounds."""
    environment = fresh_database("claims")
    with psycopg.connect(environment["OCD_OWNER_DATABASE_URL"]) as conn:
        conn.execute(_TABLE)
    url, count = environment["OCD_DATABASE_URL"], max(int(RUNS * scale), PROCESSES)
    found = []
    for number in range(ROUNDS):
        found.append((_bare_rate(url, count), _ledger_rate(url, count, seed + number, number)))
        tell(
            f"claims: round {number + 1} of {ROUNDS}, {found[-1][0]:,.0f} and {found[-1][1]:,.0f} a second"
        )
    with psycopg.connect(url) as conn:
        row = conn.execute(str(_ONCE)).fetchone()
    assert row is not None
    return [
        Figure(
            "claim + finish, ledger / bare queue",
            statistics.median(b / a for a, b in found),
            "x",
            0.5,
            0.7,
            True,
        ),
        Figure("  bare queue table", statistics.median(a for a, _ in found), "/s"),
        Figure("  ledger, each run delivered twice", statistics.median(b for _, b in found), "/s"),
        Figure(
            "  share of runs attempted and done exactly once",
            row[0] / (count * ROUNDS),
            "",
            1.0,
            1.0,
            True,
        ),
    ]


def _bare_rate(url: str, count: int) -> float:
    with psycopg.connect(url) as conn:
        conn.execute("truncate bare_queue")
        conn.execute(
            "insert into bare_queue select n, 'queued' from generate_series(1, %s) n", [count]
        )
    return _rate(_taking, [(url,)] * PROCESSES)


def _ledger_rate(url: str, count: int, seed: int, number: int) -> float:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.begin() as conn:
        ids = list(
            conn.execute(_QUEUED, {"count": count, "first": number * count, "job": JOB}).scalars()
        )
    deliveries = ids * 2
    random.Random(seed).shuffle(deliveries)
    return _rate(_claiming, [(url, deliveries[one::PROCESSES]) for one in range(PROCESSES)])


def _rate(prepare: Callable[..., Callable[[], int]], arguments: list[tuple[Any, ...]]) -> float:
    """Let processes prepare, then work from the same moment on; returns finished rows per second."""
    # Children of a process that has these modules loaded and no connection: eight fresh ones load slowly.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier, answers = context.Barrier(len(arguments)), context.Queue()
    processes = [
        context.Process(target=_timed, args=(prepare, one, barrier, answers), daemon=True)
        for one in arguments
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join(timeout=20)
    starts, ends, counts = zip(*found, strict=True)
    return float(sum(counts) / (max(ends) - min(starts)))


def _timed(
    prepare: Callable[..., Callable[[], int]],
    arguments: tuple[Any, ...],
    barrier: Any,
    answers: Any,
) -> None:
    work = prepare(*arguments)
    barrier.wait(timeout=120)
    # One clock for all processes of a machine.
    started = time.monotonic()
    count = work()
    answers.put((started, time.monotonic(), count))
    close_engines()


def _taking(url: str) -> Callable[[], int]:
    """Connect; return the work of taking rows of the bare queue until there are none."""
    engine = _connected(url)

    def work() -> int:
        count = 0
        while True:
            with engine.begin() as conn:
                row = conn.execute(_TAKE).first()
            if row is None:
                return count
            with engine.begin() as conn:
                conn.execute(_DONE, {"id": row.id})
            count += 1

    return work


def _claiming(url: str, deliveries: list[int]) -> Callable[[], int]:
    """Connect; return the work of carrying out these messages, of which another process has the twins."""
    engine = _connected(url)

    def work() -> int:
        count = 0
        for run_id in deliveries:
            run = claims.claim(engine, run_id, job=JOB, worker="benchmark", lease_s=600)
            if run is not None:
                with engine.begin() as conn:
                    claims.finish(conn, run, Ending(State.DONE, "done", rows=0))
                count += 1
        return count

    return work


def _connected(url: str) -> Engine:
    engine = engine_for(url, "benchmark")
    with engine.connect() as conn:
        now_of(conn)
    return engine
