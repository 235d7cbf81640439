"""Delete what is past retention: every row goes into an archive that was read back before the commit."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken, PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.ledger import holds
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.ledger.windows import Window
from ocd.lifecycle import copying, policy
from ocd.lifecycle.backup import live_columns
from ocd.lifecycle.policy import PurgePlan

log = logging.getLogger(__name__)

SOURCE = "lifecycle.purge"
_VERIFICATION = statement(__file__, "newest_verification.sql")
_AGAIN = "run `ocd run lifecycle.backup` and `ocd run lifecycle.verify` first"
#: A batch holds its row locks about this long.
TARGET_S = 0.1
MIN_ROWS, MAX_ROWS = 500, 50_000


@dataclass(frozen=True)
class PurgeReport:
    """What was deleted, or would be: rows per rule, the oldest, the predicate's fingerprint."""

    version: ClassVar[int] = 1
    dataset: str
    is_dry: bool
    rows: int
    rows_by_rule: dict[str, int]
    oldest: datetime | None
    predicate_sha256: str
    chunks: int = 0
    archive: str | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would be deleted" if self.is_dry else "deleted and archived"
        return f"{self.rows:,} rows of {self.dataset} {verb}"


@dataclass(frozen=True)
class _Chunk:
    number: int
    first_key: int
    last_key: int
    rows: int


def plan(
    conn: Connection, dataset: Dataset, *, now: datetime, window: Window, trust: timedelta
) -> PurgeReport:
    """Count what a purge of this window would delete, with the same predicate. Changes nothing."""
    found = _planned(conn, dataset, now=now, window=window, trust=trust)
    return _count(conn, dataset, found)


def purge(
    conn: Connection,
    dataset: Dataset,
    *,
    run: Run,
    store: Store,
    keeper: Keeper,
    now: datetime,
    trust: timedelta,
    batch_rows: int,
) -> PurgeReport:
    """Delete in fenced batches; resumes behind the last committed batch of an earlier attempt.

    Commits every batch. Raises BackupMissing where no trusted verification exists.
    """
    found = _planned(conn, dataset, now=now, window=run.window, trust=trust)
    before = _count(conn, dataset, found)
    folder = f"archives/{dataset.name}/{run.window.label}/run-{run.id}-g{run.generation}"
    chunks = _committed(conn, run)
    _check_copy(conn, dataset, store, window=run.window)
    total = before.rows + sum(chunk.rows for chunk in chunks)
    for chunk in _batches(
        conn, dataset, found, run, store, keeper, folder, chunks, batch_rows, total, trust
    ):
        chunks.append(chunk)
    sealed = _seal(conn, dataset, found, run, store, keeper, folder)
    rows = sum(chunk.rows for chunk in chunks)
    log.info("purged", extra={"dataset": dataset.name, "rows": rows, "chunks": len(chunks)})
    return PurgeReport(
        dataset.name,
        False,
        rows,
        before.rows_by_rule,
        before.oldest,
        found.sha256,
        len(chunks),
        sealed,
    )


def _planned(
    conn: Connection, dataset: Dataset, *, now: datetime, window: Window, trust: timedelta
) -> PurgePlan:
    held = holds.held(conn, dataset.name)
    found = policy.plan_purge(dataset, window_end=window.end, now=now, held=held)
    if found is None:
        raise PolicyRefused(f"{dataset.name} is kept for ever")
    _check_trust(conn, dataset, now=now, window=window, trust=trust)
    return found


def _check_trust(
    conn: Connection, dataset: Dataset, *, now: datetime, window: Window, trust: timedelta
) -> None:
    row = conn.execute(
        _VERIFICATION, {"dataset": dataset.name, "window_start": window.start}
    ).first()
    policy.require_backup(
        dataset,
        verified_at=row.verified_at if row else None,
        is_same_night=bool(row and row.is_same_night),
        now=now,
        trust=trust,
    )


def _check_copy(conn: Connection, dataset: Dataset, store: Store, *, window: Window) -> None:
    """Raise PolicyRefused unless the copy that was verified still lies in the store, byte for byte.

    Once per attempt: it is read from end to end.
    """
    row = conn.execute(
        _VERIFICATION, {"dataset": dataset.name, "window_start": window.start}
    ).first()
    conn.rollback()
    if row is None or row.sha256 is None or store.size(row.artifact_name) is None:
        raise PolicyRefused(
            f"{dataset.name}: its verified backup is gone, so nothing is deleted; {_AGAIN}"
        )
    digest = hashlib.sha256()
    for block in store.open_stored(row.artifact_name):
        digest.update(block)
    if digest.hexdigest() != row.sha256:
        raise PolicyRefused(
            f"{dataset.name}: its verified backup was changed since, so nothing is deleted; {_AGAIN}"
        )


def _check_holds(conn: Connection, dataset: Dataset, found: PurgePlan) -> None:
    """Raise PolicyRefused where a hold was placed since the plan was made; a rerun heeds it."""
    held = holds.held(conn, dataset.name)
    policy.require_no_hold(dataset, held)
    if set(held.conversations) - set(found.held):
        raise PolicyRefused(
            f"{dataset.name}: a legal hold was placed meanwhile; `ocd rerun` heeds it"
        )


def _predicate(found: PurgePlan) -> sql.Composed:
    parts = [
        sql.SQL("({} and {} < {})").format(
            copying.condition(one.condition), sql.Identifier(one.since), sql.Literal(one.cutoff)
        )
        for one in found.expiries
    ]
    expired = sql.SQL(" or ").join(parts) if parts else sql.SQL("false")
    if not found.held:
        return sql.SQL("({})").format(expired)
    # A row without a conversation is in none that is held.
    return sql.SQL("(({}) and not coalesce(conversation_id::text = any({}), false))").format(
        expired, sql.Literal(list(found.held))
    )


def _count(conn: Connection, dataset: Dataset, found: PurgePlan) -> PurgeReport:
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set local row_security = off"))
    counts: dict[str, int] = {}
    oldest: list[datetime] = []
    cursor = copying.cursor_of(conn)
    for one in found.expiries:
        query = sql.SQL("select count(*), min({}) from {} where {}").format(
            sql.Identifier(one.since),
            copying.table_of(dataset),
            _predicate(replace(found, expiries=(one,))),
        )
        row = cursor.execute(query).fetchone()
        assert row is not None, "an aggregate gives a row"  # noqa: S101
        counts[one.rule] = int(row[0])
        oldest += [row[1]] if row[1] else []
    conn.rollback()
    return PurgeReport(
        dataset.name, True, sum(counts.values()), counts, min(oldest, default=None), found.sha256
    )


def _committed(conn: Connection, run: Run) -> list[_Chunk]:
    rows = conn.execute(
        text("""
            select number, first_key, last_key, rows from ocd.purge_chunk
            where run_id = :id and generation = :generation order by number
        """),
        {"id": run.id, "generation": run.generation},
    ).all()
    conn.rollback()
    return [_Chunk(row.number, row.first_key, row.last_key, row.rows) for row in rows]


def _batches(
    conn: Connection,
    dataset: Dataset,
    found: PurgePlan,
    run: Run,
    store: Store,
    keeper: Keeper,
    folder: str,
    chunks: list[_Chunk],
    batch_rows: int,
    total: int,
    trust: timedelta,
) -> Iterator[_Chunk]:
    size = batch_rows
    after = chunks[-1].last_key if chunks else None
    number = chunks[-1].number + 1 if chunks else 1
    done = sum(chunk.rows for chunk in chunks)
    while True:
        started = time.monotonic()
        with run.batch(conn) as batch:
            conn.execute(text("set local row_security = off"))
            conn.execute(text("set local lock_timeout = '2s'"))
            conn.execute(text("set local statement_timeout = '60s'"))
            _check_trust(conn, dataset, now=run.now, window=run.window, trust=trust)
            _check_holds(conn, dataset, found)
            keys = _next_keys(conn, dataset, found, after, size)
            if keys is None:
                return
            chunk = _archive(
                conn,
                dataset,
                found,
                run,
                store,
                keeper,
                f"{folder}-f{run.fence}-{number:06}.copy.zst",
                number,
                keys,
            )
            done += chunk.rows
            batch.progress(done, total, dataset.name)
        yield chunk
        after, number = chunk.last_key, number + 1
        size = _adapted(size, time.monotonic() - started)


def _adapted(size: int, took_s: float) -> int:
    """Return the next batch's size: towards TARGET_S, at most doubled or halved."""
    factor = min(2.0, max(0.5, TARGET_S / max(took_s, 0.001)))
    return max(MIN_ROWS, min(MAX_ROWS, int(size * factor)))


def _next_keys(
    conn: Connection, dataset: Dataset, found: PurgePlan, after: int | None, size: int
) -> tuple[int, int] | None:
    """Return first and last key of the next batch, walking along the key; None at the end."""
    key = sql.Identifier(dataset.key)
    query = sql.SQL(
        "select min(k), max(k) from (select {} as k from {} where {} and {} order by {} limit {}) b"
    ).format(
        key,
        copying.table_of(dataset),
        _behind(dataset, after),
        _predicate(found),
        key,
        sql.Literal(size),
    )
    row = copying.cursor_of(conn).execute(query).fetchone()
    return (int(row[0]), int(row[1])) if row and row[0] is not None else None


def _behind(dataset: Dataset, after: int | None) -> sql.Composed:
    if after is None:
        return sql.SQL("{}").format(sql.SQL("true"))
    return sql.SQL("{} > {}").format(sql.Identifier(dataset.key), sql.Literal(after))


def _archive(
    conn: Connection,
    dataset: Dataset,
    found: PurgePlan,
    run: Run,
    store: Store,
    keeper: Keeper,
    name: str,
    number: int,
    keys: tuple[int, int],
) -> _Chunk:
    """Delete one key range into an archive object, read it back, note the chunk. The caller commits."""
    columns = live_columns(conn, dataset)
    query = sql.SQL("delete from {} where {} between {} and {} and {} returning {}").format(
        copying.table_of(dataset),
        sql.Identifier(dataset.key),
        sql.Literal(keys[0]),
        sql.Literal(keys[1]),
        _predicate(found),
        copying.columns_of(columns),
    )
    copied = copying.copy_out(
        copying.cursor_of(conn), query, store, name, level=copying.ARCHIVE_LEVEL
    )
    try:
        _compare_with_storage(store, copied)
        keeper.index(conn, SOURCE, "archive", copied.stored)
        _note_chunk(conn, dataset, run, number, keys, copied)
    except BaseException:
        store.delete(name)  # still inside the transaction: its rows stay in the table
        raise
    return _Chunk(number, keys[0], keys[1], copied.rows)


def _note_chunk(
    conn: Connection,
    dataset: Dataset,
    run: Run,
    number: int,
    keys: tuple[int, int],
    copied: copying.Copied,
) -> None:
    conn.execute(
        text("""
            insert into ocd.purge_chunk
              (run_id, generation, number, dataset, first_key, last_key, rows, archive, stored_bytes, stored_sha256, raw_sha256)
            values (:run_id, :generation, :number, :dataset, :first_key, :last_key, :rows, :archive, :stored_bytes,
                    :stored_sha256, :raw_sha256)
        """),
        {
            "run_id": run.id,
            "generation": run.generation,
            "number": number,
            "dataset": dataset.name,
            "first_key": keys[0],
            "last_key": keys[1],
            "rows": copied.rows,
            "archive": copied.stored.name,
            "stored_bytes": copied.stored.size_bytes,
            "stored_sha256": copied.stored.sha256,
            "raw_sha256": copied.raw_sha256,
        },
    )


def _compare_with_storage(store: Store, copied: copying.Copied) -> None:
    """Read the archive back; raises ContractBroken, so that the rows stay, unless it holds them."""
    raw = hashlib.sha256()
    rows = 0
    for block in copying.read_back(store, copied.stored.name, stored_sha256=copied.stored.sha256):
        raw.update(block)
        rows += block.count(b"\n")
    if raw.hexdigest() != copied.raw_sha256 or rows != copied.rows:
        raise ContractBroken(
            f"{copied.stored.name}: the archive does not read back; its rows were not deleted"
        )


def _seal(
    conn: Connection,
    dataset: Dataset,
    found: PurgePlan,
    run: Run,
    store: Store,
    keeper: Keeper,
    folder: str,
) -> str | None:
    """Write the manifest of all chunks and remove what crashed attempts left; None where nothing was deleted."""
    chunks = [
        dict(row)
        for row in conn.execute(
            text("""
            select number, first_key, last_key, rows, archive, stored_bytes, stored_sha256, raw_sha256 from ocd.purge_chunk
            where run_id = :id and generation = :generation order by number
        """),
            {"id": run.id, "generation": run.generation},
        ).mappings()
    ]
    conn.rollback()
    _remove_orphans(store, folder, {chunk["archive"] for chunk in chunks})
    if not chunks:
        return None
    manifest = {
        "version": 1,
        "run": run.id,
        "dataset": dataset.name,
        "window": run.window.label,
        "predicate_sha256": found.sha256,
        "expiries": [asdict(one) | {"cutoff": one.cutoff.isoformat()} for one in found.expiries],
        "columns": list(live_columns(conn, dataset)),
        "rows": sum(chunk["rows"] for chunk in chunks),
        "chunks": chunks,
    }
    with run.batch(conn):
        stored = keeper.put(
            conn, SOURCE, "archive-manifest", f"{folder}.manifest.json", _json(manifest)
        )
    return stored.name


def _remove_orphans(store: Store, folder: str, kept: set[str]) -> None:
    place, _, prefix = folder.rpartition("/")
    for name in store.list(place):
        if name.startswith(f"{place}/{prefix}-f") and name not in kept:
            store.delete(name)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
