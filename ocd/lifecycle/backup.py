"""Copy the datasets of one snapshot into the artifact store; the manifest comes last."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import LeaseLost, SchemaMismatch
from ocd.core.sqlfiles import statement
from ocd.core.store import Store, Stored
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import copying

log = logging.getLogger(__name__)

SOURCE = "lifecycle.backup"
MANIFEST_VERSION = 1
_COLUMNS = statement(__file__, "list_columns.sql")


@dataclass(frozen=True)
class BackedUp:
    """One dataset in a backup."""

    dataset: str
    columns: dict[str, str]  # name → type, in the table's order
    rows: int
    raw_bytes: int
    raw_sha256: str
    stored_name: str
    stored_sha256: str
    stored_bytes: int
    content_hash: str


@dataclass(frozen=True)
class BackupReport:
    """What was copied: rows and stored bytes per dataset, and where the manifest lies."""

    version: ClassVar[int] = 1
    manifest: str
    snapshot_at: datetime
    rows_by_dataset: dict[str, int]
    stored_bytes: int

    @property
    def rows(self) -> int:
        """Rows copied."""
        return sum(self.rows_by_dataset.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.rows:,} rows of {len(self.rows_by_dataset)} tables in {self.stored_bytes / 1e6:.1f} MB"


def backup(
    conn: Connection, *, run: Run, store: Store, keeper: Keeper, now: datetime
) -> BackupReport:
    """Copy every dataset marked for backup from one snapshot. Commits once, at the end.

    Objects without their manifest count for nothing and are removed when anything fails.
    """
    folder = f"backups/{run.window.label}/run-{run.id}-g{run.generation}-f{run.fence}"
    datasets = [dataset for dataset in DATASETS if dataset.is_backed_up]
    done: list[BackedUp] = []
    is_recorded = False
    try:
        revision = _begin_snapshot(conn)
        done.extend(_copy(conn, dataset, run, store, folder) for dataset in datasets)
        manifest = _manifest(conn, run, now, revision, done)
        conn.rollback()
        stored = store.put(f"{folder}/manifest.json", json.dumps(manifest, indent=1).encode())
        with run.batch(conn) as batch:
            _record(conn, run, keeper, done, stored)
            batch.progress(len(done), len(datasets), "tables")
            is_recorded = True
    except BaseException as error:
        # Once recorded, the commit may stand whatever was raised (a drain, a cancel, a connection that broke
        # on the way back); only a lost lease says that it does not.
        if not is_recorded or isinstance(error, LeaseLost):
            _forget(conn, store, folder)
        raise
    log.info("backed_up", extra={"rows": sum(one.rows for one in done), "manifest": stored.name})
    return BackupReport(
        stored.name,
        now,
        {one.dataset: one.rows for one in done},
        sum(one.stored_bytes for one in done),
    )


def _forget(conn: Connection, store: Store, folder: str) -> None:
    conn.rollback()
    for name in store.list(folder):
        store.delete(name)


def _begin_snapshot(conn: Connection) -> str:
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    # A role under row security would copy its own rows only, silently; this makes it an error.
    conn.execute(text("set local row_security = off"))
    return str(conn.execute(text("select version_num from ocd.alembic_version")).scalar_one())


def live_columns(conn: Connection, dataset: Dataset) -> dict[str, str]:
    """Return name → type of the table's columns; raises SchemaMismatch where one of ours is missing."""
    found = {row.name: row.type for row in conn.execute(_COLUMNS, {"table": dataset.table})}
    missing = [column.name for column in dataset.columns if column.name not in found]
    if missing:
        raise SchemaMismatch(f"{dataset.table} lacks {', '.join(missing)}; run `ocd db upgrade`")
    return found


def _copy(conn: Connection, dataset: Dataset, run: Run, store: Store, folder: str) -> BackedUp:
    columns = live_columns(conn, dataset)
    cursor = copying.cursor_of(conn)
    rows, digest = copying.content_hash(cursor, dataset, columns)
    query = sql.SQL("select {} from {}").format(
        copying.columns_of(columns), copying.table_of(dataset)
    )

    def shown(copied: int) -> None:
        run.progress(copied, rows, dataset.name)

    name = f"{folder}/{dataset.name}.copy.zst"
    copied = copying.copy_out(
        cursor, query, store, name, level=copying.BACKUP_LEVEL, progress=shown
    )
    return BackedUp(
        dataset.name,
        columns,
        copied.rows,
        copied.raw_bytes,
        copied.raw_sha256,
        copied.stored.name,
        copied.stored.sha256,
        copied.stored.size_bytes,
        digest,
    )


def _manifest(
    conn: Connection, run: Run, now: datetime, revision: str, done: list[BackedUp]
) -> dict[str, Any]:
    return {
        "version": MANIFEST_VERSION,
        "run": run.id,
        "window": run.window.label,
        "snapshot_at": now.isoformat(),
        "schema_revision": revision,
        "server_version": conn.execute(text("show server_version")).scalar_one(),
        "tables": [asdict(one) for one in done],
    }


def _record(
    conn: Connection, run: Run, keeper: Keeper, done: list[BackedUp], manifest: Stored
) -> None:
    for one in done:
        keeper.index(
            conn, SOURCE, "backup", Stored(one.stored_name, one.stored_sha256, one.stored_bytes)
        )
        conn.execute(
            text("""
                insert into ocd.backup_table (run_id, generation, fence, dataset, snapshot_at, rows, content_hash, artifact_name)
                values (:run_id, :generation, :fence, :dataset, :snapshot_at, :rows, :content_hash, :artifact_name)
            """),
            {
                "run_id": run.id,
                "generation": run.generation,
                "fence": run.fence,
                "dataset": one.dataset,
                "snapshot_at": run.now,
                "rows": one.rows,
                "content_hash": one.content_hash,
                "artifact_name": one.stored_name,
            },
        )
    keeper.index(conn, SOURCE, "backup-manifest", manifest)
