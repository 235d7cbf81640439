"""A client that inserts at a steady pace, and how long each insert took: `python -m benchmarks.lifecycle.client URL`.

Ends when its standard input is closed; then prints the latencies in milliseconds as JSON.
"""

from __future__ import annotations

import json
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

PER_S = 200


@dataclass
class Latencies:
    """Milliseconds that each insert took, filled in when the client ended."""

    ms: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The 99th percentile."""
        return statistics.quantiles(self.ms, n=100, method="inclusive")[98]


@contextmanager
def inserting(url: str) -> Iterator[Latencies]:
    """Insert from another process while the body runs."""
    measured = Latencies()
    client = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.lifecycle.client", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    client.stdout.readline()  # it is connected
    try:
        yield measured
    finally:
        told, _ = client.communicate()
    measured.ms += json.loads(told)


def main(url: str) -> None:
    """Insert until standard input is closed."""
    took: list[float] = []
    with psycopg.connect(url, autocommit=True) as conn:
        print("ready", flush=True)
        due = time.perf_counter()
        while not select.select([sys.stdin], [], [], max(0.0, due - time.perf_counter()))[0]:
            started = time.perf_counter()
            conn.execute(
                "insert into agent_queries (query, result, conversation_id, agent) values ('q', '{}', 'c', 'ops')"
            )
            took.append((time.perf_counter() - started) * 1000)
            due = max(due + 1 / PER_S, started)
    print(json.dumps(took))


if __name__ == "__main__":
    main(sys.argv[1])
