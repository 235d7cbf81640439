"""Backup and its proof against `pg_dump` and `pg_restore` of the same server, rounds mixed in one run."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from benchmarks.figures import Figure
from ocd.core import migrate
from ocd.core.cluster import postgres_binaries, scratch_postgres

Tell = Callable[[str], None]
Took = dict[str, list[float]]

#: About half a kilobyte as COPY text, as the desk's questions have.
_FILL = """
    insert into agent_queries (query, result, conversation_id, agent, approved, latency_ms, created_at)
    select 'where is my order ' || md5(i::text) || '?',
           jsonb_build_object('answer', md5((i * 7)::text) || repeat(' your parcel is on its way', 6), 'n', i,
                              'sources', jsonb_build_array(md5((i % 1000)::text), md5((i % 77)::text))),
           'c' || i % 50000, (array['support', 'sales', 'ops'])[1 + i % 3], i % 5 = 0, 20 + i % 400,
           '2026-11-22T00:00Z'::timestamptz - i * interval '2 seconds'
    from generate_series(1, {rows}) i
"""


def measure(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Run every deed once a round, in turn; medians of the rounds are compared."""
    took: Took = defaultdict(list)
    seen: dict[str, Any] = {}
    with scratch_postgres() as url, tempfile.TemporaryDirectory(prefix="ocd-bench-") as name:
        migrate.upgrade(url)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(_FILL.format(rows=options.rows))
            conn.execute("vacuum analyze agent_queries")
            conn.execute("checkpoint")
        for number in range(1, options.rounds + 1):
            tell(f"backup: round {number} of {options.rounds}")
            _round(url, Path(name), took, seen)
        tell(f"backup: {options.times} times the rows")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(_FILL.format(rows=options.rows * (options.times - 1)))
        for deed in ("backup", "verify"):
            seen[f"{deed} larger"] = _deed(deed, url, Path(name) / "larger")["memory_mb"]
    return _figures({deed: statistics.median(times) for deed, times in took.items()}, seen)


def _round(url: str, folder: Path, took: Took, seen: dict[str, Any]) -> None:
    raw, packed = folder / "raw.dump", folder / "packed.dump"
    took["raw dump"].append(_run(url, "pg_dump", "-Fc", "-Z0", "-f", raw))
    took["packed dump"].append(_run(url, "pg_dump", "-Fc", "-f", packed))
    seen["packed bytes"] = packed.stat().st_size
    store = folder / "store"
    for deed in ("copy", "read", "sealed", "hash", "backup", "verify"):
        told = _deed(deed, url, store)
        took[deed].append(told["took_s"])
        seen[f"{deed} memory"] = max(told["memory_mb"], seen.get(f"{deed} memory", 0.0))
        seen |= {f"{deed} bytes": told["stored_bytes"]} if "stored_bytes" in told else {}
    with _empty(url) as empty:
        took["restore"].append(_deed("restore", empty, store)["took_s"])
    with _empty(url) as empty:
        took["raw restore"].append(_run(empty, "pg_restore", "-j2", raw))
    shutil.rmtree(store)


def _figures(median: dict[str, float], seen: dict[str, Any]) -> list[Figure]:
    raw, packed = median["raw dump"], median["packed dump"]
    cycle = median["backup"] + median["verify"]
    memory = max(value for name, value in seen.items() if name.endswith("memory"))
    growth = max(seen[f"{deed} larger"] / seen[f"{deed} memory"] for deed in ("backup", "verify"))
    return [
        Figure("raw dump", raw, "s"),
        *(Figure(name, took, "s") for name, took in median.items() if name != "raw dump"),
        Figure("B1 copy, rate vs raw dump", raw / median["copy"], "x", 0.55, 0.8, True),
        Figure("B2 copy, rate vs packed dump", packed / median["copy"], "x", 2, 2.5, True),
        Figure("B2 size vs packed dump", seen["copy bytes"] / seen["packed bytes"], "x", 0.75, 0.65),
        Figure("B3 reading back vs raw dump", median["read"] / raw, "x", 0.35, 0.2),
        Figure("B4 content hash vs raw dump", median["hash"] / raw, "x", 0.9, 0.45),
        Figure("B5 restore vs pg_restore -j2", median["restore"] / median["raw restore"], "x", 1.2, 0.9),
        Figure("B6 backup and verification vs raw dump", cycle / raw, "x", 7, 4),
        Figure("B7 encryption, more time of a copy", median["sealed"] / median["copy"] - 1, "x", 0.2, 0.1),
        Figure("memory of any process", memory, "MB", 200, 200),
        Figure("memory of a backup and its proof, several times the rows", growth, "x", 1.2, 1.1),
    ]  # fmt: skip


def _deed(deed: str, url: str, store: Path) -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.lifecycle.proving", deed, url, str(store)],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise RuntimeError(f"{deed}: {told.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def _run(url: str, program: str, *options: str | Path) -> float:
    started = time.perf_counter()
    target = ["-d", url] if program == "pg_restore" else [url]
    made = make_url(url)
    done = subprocess.run(
        [postgres_binaries() / program, *options, *target],
        env={"PATH": os.defpath, "PGPASSWORD": made.password or ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
    return time.perf_counter() - started


@contextmanager
def _empty(url: str) -> Iterator[str]:
    """Make an empty database on the same server, for the body."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("create database bench_empty template template0")
    yield make_url(url).set(database="bench_empty").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("drop database bench_empty with (force)")
