"""One deed of a backup in a process of its own: `python -m benchmarks.lifecycle.proving DEED URL FOLDER`.

Prints seconds, memory and bytes as JSON. Deeds: copy, sealed, read, hash, backup, verify, restore.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Engine, NullPool, create_engine

from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.signing import SigningKeys
from ocd.core.store import FolderStore, Store
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import claims, enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.claims import Ending
from ocd.ledger.run import Run
from ocd.ledger.states import State
from ocd.ledger.windows import Daily
from ocd.lifecycle import backup, content, copying, loading, manifest, snapshots, verify

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
KEYS = SigningKeys(("the-key-of-the-benchmark-0123456789",))
NAMES = [column.name for column in AGENT_QUERIES.columns]
Deed = Callable[[str, FolderStore], dict[str, Any]]


def copy(url: str, store: Store) -> dict[str, Any]:
    """Copy one table, as a backup does, with one connection."""
    query = sql.SQL("select {} from {}").format(
        copying.columns_of(NAMES), copying.table_of(AGENT_QUERIES)
    )
    with psycopg.connect(url) as conn, conn.cursor() as cursor:
        snapshots.pin(cursor)
        copied = copying.copy_out(cursor, query, store, "copy", level=copying.BACKUP_LEVEL)
    return {"raw_bytes": copied.raw_bytes, "stored_bytes": copied.stored.size_bytes}


def sealed(url: str, store: FolderStore) -> dict[str, Any]:
    """Copy it encrypted."""
    import pyrage

    from ocd.core.sealed import SealedStore

    public = str(pyrage.x25519.Identity.generate().to_public())
    return copy(url, SealedStore(store, (public,), None))


def read(url: str, store: FolderStore) -> dict[str, Any]:
    """Read the stored bytes again and hash them."""
    import hashlib

    digest = hashlib.sha256()
    for block in store.open_stored("copy"):
        digest.update(block)
    return {}


def measure(url: str, store: FolderStore) -> dict[str, Any]:
    """Hash the table's content in the database."""
    with psycopg.connect(url) as conn, conn.cursor() as cursor:
        content.measure(cursor, AGENT_QUERIES, NAMES)
    return {}


def back_up(url: str, store: FolderStore) -> dict[str, Any]:
    """Back up everything."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    run = _started(engine, "lifecycle.backup")
    with engine.connect() as conn:
        report = backup.backup(conn, run=run, store=store, keeper=_keeper(store, run), keys=KEYS)
    _end(engine, run)
    return {"raw_bytes": report.raw_bytes, "stored_bytes": report.stored_bytes}


def prove(url: str, store: FolderStore) -> dict[str, Any]:
    """Verify the newest backup on a server of its own."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    run = _started(engine, "lifecycle.verify")
    with engine.connect() as conn:
        report = verify.verify(
            conn,
            run=run,
            store=store,
            keeper=_keeper(store, run),
            keys=KEYS,
            scratch=scratch_postgres,
        )
    _end(engine, run)
    return {"level": report.level}


def restore(url: str, store: FolderStore) -> dict[str, Any]:
    """Restore the only backup of the store into the empty database at `url`, with its content hash."""
    (name,) = [one for one in store.list("backups") if one.endswith("manifest.json")]
    found = loading.rebuild(url, manifest.read(store, name, KEYS), store)
    assert not any(one.damage for one in found.values())
    return {}


DEEDS: dict[str, Deed] = {
    "copy": copy,
    "sealed": sealed,
    "read": read,
    "hash": measure,
    "backup": back_up,
    "verify": prove,
    "restore": restore,
}


def _keeper(store: Store, run: Run) -> Keeper:
    return Keeper(store, run.id, NOW, timedelta(days=90))


def _started(engine: Engine, job: str) -> Run:
    with engine.begin() as conn:
        order = enqueue.Order(job, Daily().parse("2026-11-22"), "long", subject={})
        placed = enqueue.add(conn, order, retry_ended=True, force=True)
    run = claims.claim(engine, placed.run_id, job=job, worker="benchmark", lease_s=300)
    assert run is not None
    return run


def _end(engine: Engine, run: Run) -> None:
    evidence = {"type": "Benchmark", "version": 1}
    with engine.begin() as conn:
        claims.finish(conn, run, Ending(State.DONE, "done", rows=0, evidence=evidence))


def main(deed: str, url: str, folder: Path) -> None:
    """Do it, print what it took."""
    started = time.perf_counter()
    told = DEEDS[deed](url, FolderStore(folder))
    told["took_s"] = time.perf_counter() - started
    told["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
