"""One purge in a process of its own: `python -m benchmarks.lifecycle.purging URL FOLDER` prints what it took."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from ocd.core.db import sqlalchemy_url
from ocd.core.store import FolderStore
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import claims, enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Batch, Run
from ocd.ledger.windows import Daily
from ocd.lifecycle import purge
from ocd.lifecycle.policy import Limits

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)


def main(url: str, folder: Path) -> None:
    """Prove a copy as a night does, purge, print the figures as JSON."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    store = FolderStore(folder)
    _prove(engine, store)
    run = _started(engine, "lifecycle.purge", {"dataset": AGENT_QUERIES.name})
    batches = _watched(run)
    with engine.connect() as conn:
        started = time.perf_counter()
        report = purge.purge(
            conn,
            AGENT_QUERIES,
            run=run,
            store=store,
            keeper=Keeper(store, run.id, NOW, timedelta(days=90)),
            now=NOW,
            terms=purge.Terms(limits=Limits(share_percent=100, rows=10**9)),
        )
        took_s = time.perf_counter() - started
    told = {
        "rows": report.rows,
        "took_s": took_s,
        "chunks": report.chunks,
        "chunk_ms": max(batches) * 1000,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))


def _watched(run: Run) -> list[float]:
    """Have the run time its batches, from the first statement to the commit; returns the list that fills."""
    took: list[float] = []
    batch = run.batch

    @contextmanager
    def timed(conn: Connection) -> Iterator[Batch]:
        started = time.perf_counter()
        with batch(conn) as inner:
            yield inner
        took.append(time.perf_counter() - started)

    run.batch = timed  # type: ignore[method-assign]
    return took


def _started(engine: Engine, job: str, subject: dict[str, str]) -> Run:
    with engine.begin() as conn:
        placed = enqueue.add(
            conn, enqueue.Order(job, Daily().parse("2026-11-22"), "long", subject=subject)
        )
    run = claims.claim(engine, placed.run_id, job=job, worker="benchmark", lease_s=60)
    assert run is not None
    return run


def _prove(engine: Engine, store: FolderStore) -> None:
    """Note a verified copy of the table; what lies in it is of no interest here."""
    backup, verify = (
        _started(engine, "lifecycle.backup", {}),
        _started(engine, "lifecycle.verify", {}),
    )
    copy = store.put("backups/copy.zst", b"a copy")
    with engine.begin() as conn:
        Keeper(store, backup.id, NOW, timedelta(days=90)).index(conn, "benchmark", "backup", copy)
        conn.execute(
            text("""
                insert into ocd.backup_table (run_id, generation, fence, dataset, snapshot_at, rows, content_hash, artifact_name)
                values (:run, 1, :fence, :dataset, clock_timestamp(), 0, '0:0', :name)
            """),
            {
                "run": backup.id,
                "fence": backup.fence,
                "dataset": AGENT_QUERIES.name,
                "name": copy.name,
            },
        )
        conn.execute(
            text("""
                insert into ocd.verification (run_id, backup_run_id, dataset, rows, content_hash, is_equal, level, verified_at)
                values (:run, :backup, :dataset, 0, '0:0', true, 4, :now)
            """),
            {"run": verify.id, "backup": backup.id, "dataset": AGENT_QUERIES.name, "now": NOW},
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
