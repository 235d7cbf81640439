"""Copy the datasets of one snapshot into the artifact store; the signed manifest comes last."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any, ClassVar

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import LeaseLost, SchemaMismatch
from ocd.core.signing import SigningKeys
from ocd.core.sqlfiles import statement
from ocd.core.store import Store, Stored
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import content, copying, manifest, snapshots, structure
from ocd.lifecycle.manifest import Manifest, Part

log = logging.getLogger(__name__)

SOURCE = "lifecycle.backup"
#: Connections that copy at once; more than two gain nothing beside a server on the same two cores.
WORKERS = 2
#: How often a person sees how far it is, and a cancel is heeded.
LOOK_S = 0.5
_COLUMNS = statement(__file__, "list_columns.sql")


@dataclass(frozen=True)
class BackupReport:
    """What was copied: rows and stored bytes per dataset, and where the manifest lies."""

    version: ClassVar[int] = 2
    manifest: str
    snapshot_at: datetime
    rows_by_dataset: dict[str, int]
    raw_bytes: int
    stored_bytes: int
    is_encrypted: bool

    @property
    def rows(self) -> int:
        """Rows copied."""
        return sum(self.rows_by_dataset.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        how = ", encrypted" if self.is_encrypted else ""
        return f"{self.rows:,} rows of {len(self.rows_by_dataset)} tables in {self.stored_bytes / 1e6:.1f} MB{how}"


def backup(
    conn: Connection, *, run: Run, store: Store, keeper: Keeper, keys: SigningKeys
) -> BackupReport:
    """Copy every dataset marked for backup from one snapshot. Commits once, at the end.

    Objects without their manifest count for nothing and are removed when anything fails.
    """
    keys.sign(b"")  # without a key it fails now, not after the work
    folder = f"backups/{run.window.label}/run-{run.id}-g{run.generation}-f{run.fence}"
    is_recorded = False
    try:
        made = _copied(conn, run, store, folder)
        stored = manifest.write(store, made, keys)
        report = _report(made)
        with run.batch(conn) as batch:
            _record(conn, run, keeper, made, stored)
            batch.progress(len(made.parts), len(made.parts), "tables")
            batch.report = report
            is_recorded = True
    except BaseException as error:
        # Once recorded, the commit may stand whatever was raised (a connection that broke on the way back);
        # only a lost lease says that it does not.
        if not is_recorded or isinstance(error, LeaseLost):
            _forget(conn, store, folder)
        raise
    log.info("backed_up", extra={"rows": made.rows, "manifest": stored.name})
    return report


def _report(made: Manifest) -> BackupReport:
    return BackupReport(
        made.name,
        made.snapshot_at,
        {one.dataset: one.rows for one in made.parts},
        sum(one.raw_bytes for one in made.parts),
        made.stored_bytes,
        bool(made.sealed_for),
    )


def _forget(conn: Connection, store: Store, folder: str) -> None:
    conn.rollback()
    for name in store.list(folder):
        store.delete(name)


def live_columns(conn: Connection, dataset: Dataset) -> dict[str, str]:
    """Return name → type of the table's columns; raises SchemaMismatch where one of ours is missing."""
    found = {row.name: row.type for row in conn.execute(_COLUMNS, {"table": dataset.table})}
    missing = [column.name for column in dataset.columns if column.name not in found]
    if missing:
        raise SchemaMismatch(f"{dataset.table} lacks {', '.join(missing)}; run `ocd db upgrade`")
    return found


@dataclass
class _Table:
    """A dataset on its way into the backup; its two scans are done by whoever is free."""

    dataset: Dataset
    columns: dict[str, str]
    as_text: tuple[str, ...]
    stored_name: str
    content: content.Content | None = None
    copied: copying.Copied | None = None
    sequences: dict[str, int | None] = field(default_factory=dict)
    structure: tuple[manifest.Definition, ...] = ()

    def part(self) -> Part:
        """Return what the manifest says of it, once both scans are done."""
        assert self.content is not None and self.copied is not None  # noqa: S101, PT018
        if self.content.rows != self.copied.rows:
            raise SchemaMismatch(
                f"{self.dataset.table}: {self.content.rows:,} rows counted, {self.copied.rows:,} copied"
            )
        return Part(
            self.dataset.name,
            self.columns,
            self.copied.rows,
            self.copied.raw_bytes,
            self.copied.raw_sha256,
            self.copied.stored.name,
            self.copied.stored.sha256,
            self.copied.stored.size_bytes,
            self.content.digest,
            self.as_text,
            self.content.oldest,
            self.content.newest,
            self.sequences,
            self.structure,
        )


def _copied(conn: Connection, run: Run, store: Store, folder: str) -> Manifest:
    snapshot = snapshots.begin(conn)
    tables = _described(conn, folder)
    _scan_all(conn, snapshot, tables, run, store)
    made = _manifest(conn, run, store, folder, tables)
    conn.rollback()
    return made


def _described(conn: Connection, folder: str) -> list[_Table]:
    cursor = copying.cursor_of(conn)
    columns = {one: live_columns(conn, one) for one in DATASETS if one.is_backed_up}
    textual = content.without_hash(
        cursor, {kind for one in columns.values() for kind in one.values()}
    )
    return [
        _Table(
            dataset,
            found,
            tuple(name for name, kind in found.items() if kind in textual),
            f"{folder}/{dataset.name}.copy.zst",
            structure=structure.structure_of(cursor, dataset),
            sequences=structure.sequences_of(cursor, dataset),
        )
        for dataset, found in columns.items()
    ]


def _scan_all(
    conn: Connection, snapshot: str, tables: list[_Table], run: Run, store: Store
) -> None:
    """Copy and hash every table, the largest first, on connections that share the snapshot."""
    sizes = _sizes(conn, tables)
    counter = _Counter(sum(rows for rows, _ in sizes.values()))
    with ExitStack() as stack:
        cursors = [stack.enter_context(snapshots.joined(conn, snapshot)) for _ in range(WORKERS)]
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))
        stack.callback(_stop, counter, list(cursors))  # whoever fails need not wait for the others

        def scan(deed: Callable[[psycopg.Cursor[Any]], None]) -> None:
            counter.check()
            with _borrowed(cursors) as cursor, counter.stopped_by_failure():
                deed(cursor)

        by_size = sorted(tables, key=lambda table: -sizes[table.dataset.name][1])
        pending = {
            pool.submit(scan, deed)
            for table in by_size
            for deed in (_copying(table, store, counter), _measuring(table))
        }
        _await(pending, run, counter)


def _stop(counter: _Counter, cursors: list[psycopg.Cursor[Any]]) -> None:
    if not counter.is_complete:
        counter.stop()
        for cursor in cursors:
            cursor.connection.cancel_safe(timeout=5)


@contextmanager
def _borrowed(free: list[psycopg.Cursor[Any]]) -> Iterator[psycopg.Cursor[Any]]:
    cursor = free.pop()  # there is one for each thread
    try:
        yield cursor
    finally:
        free.append(cursor)


def _copying(
    table: _Table, store: Store, counter: _Counter
) -> Callable[[psycopg.Cursor[Any]], None]:
    def deed(cursor: psycopg.Cursor[Any]) -> None:
        query = sql.SQL("select {} from {}").format(
            copying.columns_of(table.columns), copying.table_of(table.dataset)
        )
        table.copied = copying.copy_out(
            cursor,
            query,
            store,
            table.stored_name,
            level=copying.BACKUP_LEVEL,
            progress=counter.progress(),
        )

    return deed


def _measuring(table: _Table) -> Callable[[psycopg.Cursor[Any]], None]:
    def deed(cursor: psycopg.Cursor[Any]) -> None:
        table.content = content.measure(cursor, table.dataset, table.columns, table.as_text)

    return deed


class _Stopped(Exception):
    """One of the others failed, or a person cancelled: that error is the one that counts."""


class _Counter:
    """Rows copied by all threads together; the one who waits may stop them."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self._lock = threading.Lock()
        self._rows = 0
        self._is_stopped = threading.Event()
        self.is_complete = False

    @property
    def rows(self) -> int:
        with self._lock:
            return self._rows

    def stop(self) -> None:
        self._is_stopped.set()

    @contextmanager
    def stopped_by_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        if self._is_stopped.is_set():
            raise _Stopped

    def progress(self) -> Callable[[int], None]:
        """Return the callback of one copy, which is told its rows so far."""
        before = 0

        def told(rows: int) -> None:
            nonlocal before
            self.check()
            with self._lock:
                self._rows += rows - before
            before = rows

        return told


def _await(pending: set[Future[None]], run: Run, counter: _Counter) -> None:
    while pending:
        done, pending = wait(pending, timeout=LOOK_S, return_when=FIRST_COMPLETED)
        failures = [error for one in done if (error := one.exception()) is not None]
        for error in failures:
            if not isinstance(error, _Stopped):
                raise error
        run.progress(counter.rows, max(counter.expected, counter.rows), "rows copied")
    counter.is_complete = True


def _sizes(conn: Connection, tables: list[_Table]) -> dict[str, tuple[int, int]]:
    """Return dataset → (rows, bytes) as the server estimates them."""
    query = text(
        "select greatest(reltuples, 0)::bigint as rows, pg_relation_size(oid) as bytes from pg_class where oid = to_regclass(:table)"
    )
    found = {}
    for table in tables:
        row = conn.execute(query, {"table": table.dataset.table}).one()
        found[table.dataset.name] = (row.rows, row.bytes)
    return found


def facts_sha256() -> str:
    """Return a fingerprint of what the code knows of its datasets: columns, retention, access."""
    return hashlib.sha256(repr(DATASETS).encode()).hexdigest()


def _manifest(
    conn: Connection, run: Run, store: Store, folder: str, tables: list[_Table]
) -> Manifest:
    server = conn.execute(
        text("""
            select transaction_timestamp() as at, current_setting('server_version') as version,
                   (select version_num from ocd.alembic_version) as revision,
                   case when pg_is_in_recovery() then null else pg_current_wal_lsn()::text end as lsn
        """)
    ).one()
    return Manifest(
        f"{folder}/manifest.json",
        run.id,
        run.generation,
        run.fence,
        run.window.label,
        server.at,
        server.lsn,
        server.revision,
        facts_sha256(),
        server.version,
        {name: version(name) for name in ("ocd", "psycopg", "zstandard")},
        store.sealed_for,
        tuple(table.part() for table in tables),
    )


def _record(conn: Connection, run: Run, keeper: Keeper, made: Manifest, stored: Stored) -> None:
    for one in made.parts:
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
                "snapshot_at": made.snapshot_at,
                "rows": one.rows,
                "content_hash": one.content_hash,
                "artifact_name": one.stored_name,
            },
        )
    keeper.index(conn, SOURCE, "backup-manifest", stored)
