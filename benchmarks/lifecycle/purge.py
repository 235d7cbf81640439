"""What a verified purge costs: against one DELETE, and against CSV and DELETE that nobody verifies.

Every method deletes the same half of a table, in a fresh copy of the database right after a checkpoint,
while a client inserts 200 rows a second. A figure is the median over the rounds of ratios inside a round; the
client's latencies are those of all rounds, for one DELETE is over after some sixty inserts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.figures import Figure
from benchmarks.lifecycle.client import Latencies, inserting
from benchmarks.lifecycle.server import Server, as_worker, filled_server
from ocd.core.cluster import postgres_binaries

DUE = "created_at < timestamptz '2026-11-23' - interval '30 days' and not coalesce(latency_ms > 200, false)"
CHUNK_ROWS = 5000
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Took:
    """One method in one round; `chunk_ms` is the longest that it held a row's lock."""

    rows: int
    took_s: float
    chunk_ms: float
    memory_mb: float = 0.0
    inserts: tuple[float, ...] = ()
    wal_bytes: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.took_s


def raw(url: str) -> Took:
    """Delete in one statement."""
    with psycopg.connect(url) as conn:
        started = time.perf_counter()
        rows = conn.execute(f"delete from agent_queries where {DUE}").rowcount
        conn.commit()
        took_s = time.perf_counter() - started
    return Took(rows, took_s, took_s * 1000)


def ranges(url: str) -> Took:
    """Delete range by range of the key, and keep nothing."""
    chunks: list[float] = []
    rows, after = 0, 0
    with psycopg.connect(url) as conn:
        started = time.perf_counter()
        while True:
            chunk = time.perf_counter()
            found = conn.execute(
                f"select max(id) from (select id from agent_queries where id > %s and {DUE} order by id limit %s) b",
                (after, CHUNK_ROWS),
            ).fetchone()
            last = found[0] if found else None
            if last is None:
                break
            rows += conn.execute(
                f"delete from agent_queries where id > %s and id <= %s and {DUE}",
                (after, last),
            ).rowcount
            conn.commit()
            chunks.append(time.perf_counter() - chunk)
            after = last
        took_s = time.perf_counter() - started
    return Took(rows, took_s, max(chunks) * 1000)


def unverified(url: str) -> Took:
    """Let psql write CSV, then delete in one statement; nobody looks whether the two saw the same rows."""
    with tempfile.TemporaryDirectory(prefix="ocd-benchmark-") as folder:
        started = time.perf_counter()
        csv = Path(folder) / "rows.csv"
        query = f"\\copy (select * from agent_queries where {DUE}) to '{csv}' csv header"
        subprocess.run([postgres_binaries() / "psql", url, "-qXc", query], check=True)
        deleted = raw(url)
        took_s = time.perf_counter() - started
    return Took(deleted.rows, took_s, deleted.chunk_ms)


def verified(url: str) -> Took:
    """Purge as the job does, in a process of its own."""
    folder = tempfile.mkdtemp(prefix="ocd-benchmark-")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.lifecycle.purging", as_worker(url), folder],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        shutil.rmtree(folder)
    told = json.loads(done.stdout)
    return Took(told["rows"], told["took_s"], told["chunk_ms"], told["memory_mb"])


METHODS = (raw, ranges, unverified, verified)


def measure(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure every method in every round, then the purge alone on a larger table."""
    with filled_server(options.rows) as server:
        rounds = [_round(server, number, tell) for number in range(options.rounds)]
    with filled_server(options.rows * options.times) as server:
        tell(f"{server.rows:,} rows")
        larger = _measured(server, verified, tell)
    return [*_speed(rounds), *_gentleness(rounds, larger, options.times)]


def _round(server: Server, number: int, tell: Tell) -> dict[str, Took]:
    tell(f"round {number + 1}")
    return {one.__name__: _measured(server, one, tell) for one in METHODS}


def _measured(server: Server, method: Callable[[str], Took], tell: Tell) -> Took:
    with server.copy() as url, psycopg.connect(url, autocommit=True) as watcher:
        before = _wal(watcher)
        with inserting(url) as latencies:
            took = method(url)
        wal = _wal(watcher) - before
    tell(f"  {method.__name__:10} {took.rate:10,.0f} rows/s, longest {took.chunk_ms:6.0f} ms,"
         f" insert p99 {latencies.p99:5.1f} ms")  # fmt: skip
    return Took(took.rows, took.took_s, took.chunk_ms, took.memory_mb, tuple(latencies.ms), wal)


def _wal(conn: psycopg.Connection) -> float:
    row = conn.execute("select pg_current_wal_lsn() - '0/0'").fetchone()
    assert row is not None
    return float(row[0])


def _speed(rounds: list[dict[str, Took]]) -> list[Figure]:
    def ratio(method: str, base: str) -> float:
        return statistics.median(one[method].rate / one[base].rate for one in rounds)

    return [
        Figure("P1 key ranges / one DELETE, rows a second", ratio("ranges", "raw"), "x", 0.35, 0.5, is_floor=True),
        Figure("P2 verified purge / one DELETE, rows a second", ratio("verified", "raw"), "x", 0.12, 0.22, is_floor=True),
        Figure("P3 verified purge / unverified CSV and DELETE, rows a second", ratio("verified", "unverified"), "x", 0.5, 0.8, is_floor=True),
    ]  # fmt: skip


def _gentleness(rounds: list[dict[str, Took]], larger: Took, times: int) -> list[Figure]:
    def median(ratio: Callable[[dict[str, Took]], float]) -> float:
        return statistics.median(ratio(one) for one in rounds)

    def insert_p99(method: str) -> float:
        return Latencies([ms for one in rounds for ms in one[method].inserts]).p99

    chunk = median(lambda one: one["verified"].chunk_ms)
    memory = median(lambda one: one["verified"].memory_mb)
    return [
        Figure("P4 insert p99 beside the purge / beside one DELETE", insert_p99("verified") / insert_p99("raw"), "x", 1.6, 1.1),
        Figure("P4 insert p99 beside the purge / beside CSV and DELETE", insert_p99("verified") / insert_p99("unverified"), "x", 1.0, 0.5),
        Figure("P5 longest batch", chunk, "ms", 150, 60),
        Figure(f"P5 longest batch, {times} times the rows", larger.chunk_ms, "ms", 150, 60),
        Figure("P6 WAL of the purge / of one DELETE", median(lambda one: one["verified"].wal_bytes / one["raw"].wal_bytes), "x", 1.1, 1.02),
        Figure("memory of the purge", memory, "MB", 200, 100),
        Figure(f"memory, {times} times the rows / once", larger.memory_mb / memory, "x", 1.15, 1.05),
        Figure("   rows a second, verified", median(lambda one: one["verified"].rate)),
        Figure("   rows a second, one DELETE", median(lambda one: one["raw"].rate)),
    ]  # fmt: skip
