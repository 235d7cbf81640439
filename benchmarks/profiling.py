"""What a profile costs beside DuckDB's SUMMARIZE of the same rows: `python -m benchmarks.profiling`.

Fills the feedback table of a server of its own, writes the same rows as Parquet, and takes turns: our
profile (scan and statistics, in PostgreSQL) and SUMMARIZE (in this process's child). Both read a warm
table. Prints each figure with its goal; ends with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from sqlalchemy import NullPool, create_engine

from benchmarks.metrics import LOGINS
from ocd.core import migrate
from ocd.core.clock import utc_now
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.datasets.agents import AGENT_FEEDBACK
from ocd.quality.profile.measure import measure

ROWS = 1_000_000
ROUNDS = 3
#: Our profile over SUMMARIZE, and this process's memory at its largest.
MAX_RATIO, MAX_MB = 1.2, 150

FILL = """
    insert into agent_feedback (conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, meta, created_at)
    select 'c' || n / 3, repeat('in ' || n || ' ', 14), repeat('draft ' || n * 7 || ' ', 25),
      case n %% 5 when 0 then null else n %% 2 = 0 end, '{helpful}', jsonb_build_object('clarity', n %% 6), 'ann-' || n %% 5,
      jsonb_build_object('confidence', round(random()::numeric, 2)), now() - n * interval '1 s'
    from generate_series(1, %s) n
"""


def main() -> int:
    """Measure and print; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, scratch_postgres() as url:
        path = Path(folder) / "rows.parquet"
        _fill(url, arguments.rows, path)
        figures = _measure(url, path) | {"rows": arguments.rows}
    is_met = figures["ratio"] <= MAX_RATIO and figures["our_mb"] <= MAX_MB
    print(json.dumps(figures, indent=1) if arguments.json else _page(figures, is_met))
    return int(not is_met)


def _fill(url: str, rows: int, path: Path) -> None:
    import duckdb

    with psycopg.connect(url, autocommit=True) as conn:
        for login in LOGINS:
            conn.execute(login)
    migrate.upgrade(url)
    raw = path.with_suffix(".csv")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(FILL, [rows])
        conn.execute("vacuum analyze agent_feedback")
        with (
            raw.open("wb") as file,
            conn.cursor().copy("copy agent_feedback to stdout (format csv, header)") as copy,
        ):
            for block in copy:
                file.write(block)
    with duckdb.connect(config={"memory_limit": "1GB"}) as duck:
        duck.execute("set enable_progress_bar = false")
        duck.execute(
            f"copy (from read_csv('{raw}')) to '{path}' (format parquet, compression zstd)"
        )
    raw.unlink()


def _measure(url: str, path: Path) -> dict[str, float]:
    ours, theirs = [], []
    ours_mb = theirs_mb = 0.0
    for _ in range(ROUNDS):
        took, megabytes = _in_child(_profile, url)
        ours, ours_mb = [*ours, took], max(ours_mb, megabytes)
        took, megabytes = _in_child(_summarize, str(path))
        theirs, theirs_mb = [*theirs, took], max(theirs_mb, megabytes)
    our_s, their_s = statistics.median(ours), statistics.median(theirs)
    return {
        "our_s": round(our_s, 3),
        "duckdb_s": round(their_s, 3),
        "ratio": round(our_s / their_s, 3),
        "our_mb": round(ours_mb),
        "duckdb_mb": round(theirs_mb),
    }


def _in_child(deed, argument: str) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Return how long it took, and the child's memory, in a process that does nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(deed, (argument,))  # type: ignore[no-any-return]


def _profile(url: str) -> tuple[float, float]:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as conn:
        started = time.monotonic()
        measure(conn, AGENT_FEEDBACK, now=utc_now())
        return time.monotonic() - started, _megabytes()


def _summarize(path: str) -> tuple[float, float]:
    import duckdb

    with duckdb.connect() as duck:
        duck.execute("set enable_progress_bar = false")
        started = time.monotonic()
        duck.execute(f"summarize from '{path}'").fetchall()
        return time.monotonic() - started, _megabytes()


def _megabytes() -> float:
    """Return this process's memory at its largest; rusage would count what its parent had before."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _page(figures: dict[str, float], is_met: bool) -> str:
    return (
        f"{figures['rows']:,} rows: profile {figures['our_s']} s, DuckDB SUMMARIZE {figures['duckdb_s']} s, "
        f"ratio {figures['ratio']} (goal {MAX_RATIO})\n"
        f"memory {figures['our_mb']} MB (goal {MAX_MB}), DuckDB {figures['duckdb_mb']} MB\n"
        f"{'met' if is_met else 'missed'}"
    )


if __name__ == "__main__":
    sys.exit(main())
