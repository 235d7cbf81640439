"""Prove a backup: restore it into a scratch server and compare it with what was there."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core import migrate
from ocd.core.errors import ContractBroken, PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import copying
from ocd.lifecycle.backup import MANIFEST_VERSION, SOURCE, BackedUp

log = logging.getLogger(__name__)

_NEWEST = statement(__file__, "newest_backup.sql")
Scratch = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class Compared:
    """One dataset, restored: equal, or why not."""

    dataset: str
    rows: int
    content_hash: str
    is_equal: bool
    reason: str | None = None


@dataclass(frozen=True)
class VerifyReport:
    """What was restored and compared."""

    version: ClassVar[int] = 1
    backup_run: int
    manifest: str
    compared: tuple[Compared, ...]

    @property
    def rows(self) -> int:
        """Rows restored."""
        return sum(one.rows for one in self.compared)

    @property
    def summary(self) -> str:
        """One line for people."""
        equal = sum(one.is_equal for one in self.compared)
        return f"{equal} of {len(self.compared)} tables restored equal, {self.rows:,} rows, backup run {self.backup_run}"


def verify(
    conn: Connection, *, run: Run, store: Store, keeper: Keeper, now: datetime, scratch: Scratch
) -> VerifyReport:
    """Restore the newest backup, tonight's first, and compare rows and content hashes.

    Records one verification per dataset, commits once, then raises ContractBroken if one differs.
    Raises PolicyRefused where there is no backup. `scratch` gives the superuser URL of an empty
    throw-away server.
    """
    backup = conn.execute(_NEWEST, {"window_start": run.window.start}).first()
    conn.rollback()
    if backup is None:
        raise PolicyRefused("there is no backup to verify; run `ocd run lifecycle.backup` first")
    try:
        manifest = _read_manifest(store, backup.manifest, backup.manifest_sha256)
    except ContractBroken as error:
        compared = tuple(Compared(name, 0, "", False, error.message) for name in backup.datasets)
    else:
        compared = _restore_all(manifest, run, store, scratch)
    report = VerifyReport(backup.run_id, backup.manifest, compared)
    with run.batch(conn) as batch:
        _record(conn, run, keeper, report)
        batch.progress(len(compared), len(compared), "tables compared")
    different = [f"{one.dataset}: {one.reason}" for one in compared if not one.is_equal]
    if different:
        raise ContractBroken(
            f"backup of run {backup.run_id} is not what it was made from: {'; '.join(different)}"
        )
    log.info("verified", extra={"backup_run": backup.run_id, "rows": report.rows})
    return report


def _read_manifest(store: Store, name: str, sha256: str) -> dict[str, Any]:
    """Return the manifest that the ledger noted; raises ContractBroken for any other."""
    if store.size(name) is None:
        raise ContractBroken(f"{name}: missing")
    content = b"".join(store.open(name))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ContractBroken(f"{name}: damaged: it is not the manifest that was written")
    manifest: dict[str, Any] = json.loads(content)
    return manifest


def _restore_all(
    manifest: dict[str, Any], run: Run, store: Store, scratch: Scratch
) -> tuple[Compared, ...]:
    if manifest["version"] != MANIFEST_VERSION:
        raise ContractBroken(
            f"manifest version {manifest['version']}, this code reads {MANIFEST_VERSION}"
        )
    tables = [BackedUp(**one) for one in manifest["tables"]]
    with scratch() as url:
        migrate.upgrade(url, manifest["schema_revision"])
        return tuple(_restore(url, one, run, store) for one in tables)


def _restore(url: str, table: BackedUp, run: Run, store: Store) -> Compared:
    """Restore one table and compare; damage becomes the reason, not an error."""
    dataset = dataset_named(table.dataset)
    try:
        blocks = copying.read_back(store, table.stored_name, stored_sha256=table.stored_sha256)
        with psycopg.connect(url) as scratch, scratch.cursor() as cursor:
            # Rows may refer to rows of tables that no backup holds; a scratch copy has nothing to protect.
            cursor.execute("set local session_replication_role = replica")
            _add_foreign_columns(cursor, table)
            raw = copying.copy_in(
                cursor,
                dataset,
                table.columns,
                _shown(run, table, blocks),
            )
            rows, digest = copying.content_hash(cursor, dataset, table.columns)
    except (ContractBroken, psycopg.DataError, psycopg.IntegrityError) as error:
        damage = error.message if isinstance(error, ContractBroken) else type(error).__name__
        return Compared(table.dataset, 0, "", False, f"does not restore: {damage}")
    reason = _difference(table, raw, rows, digest)
    return Compared(table.dataset, rows, digest, reason is None, reason)


def _difference(table: BackedUp, raw_sha256: str, rows: int, digest: str) -> str | None:
    if raw_sha256 != table.raw_sha256:
        return "the stored bytes changed"
    if rows != table.rows:
        return f"{rows:,} rows restored, {table.rows:,} were copied"
    return None if digest == table.content_hash else "the content hash differs from the source's"


def _shown(run: Run, table: BackedUp, blocks: Iterator[bytes]) -> Iterator[bytes]:
    restored = 0
    for block in blocks:
        restored += block.count(b"\n")
        run.progress(restored, table.rows, f"{table.dataset} restored")
        yield block


def _add_foreign_columns(cursor: psycopg.Cursor[Any], table: BackedUp) -> None:
    """Add columns that the live table has beyond ours, so that nothing of it is lost."""
    ours = {column.name for column in dataset_named(table.dataset).columns}
    for name, kind in table.columns.items():
        if name not in ours:
            cursor.execute(
                sql.SQL("alter table {} add column {} {}").format(
                    copying.table_of(dataset_named(table.dataset)),
                    sql.Identifier(name),
                    copying.condition(kind),
                )
            )


def _record(conn: Connection, run: Run, keeper: Keeper, report: VerifyReport) -> None:
    conn.execute(
        text("""
            insert into ocd.verification (run_id, backup_run_id, dataset, rows, content_hash, is_equal)
            values (:run_id, :backup_run_id, :dataset, :rows, :content_hash, :is_equal)
        """),
        [
            {
                "run_id": run.id,
                "backup_run_id": report.backup_run,
                "dataset": one.dataset,
                "rows": one.rows,
                "content_hash": one.content_hash,
                "is_equal": one.is_equal,
            }
            for one in report.compared
        ],
    )
    body = {
        "backup_run": report.backup_run,
        "manifest": report.manifest,
        "compared": [asdict(one) for one in report.compared],
    }
    name = f"{report.manifest.rsplit('/', 1)[0]}/verification-run-{run.id}-g{run.generation}-f{run.fence}.json"
    keeper.put(conn, SOURCE, "verification", name, json.dumps(body, indent=1).encode())
