"""Write archives and judge backups anew for an erasure: rows of a subject go, what is left is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import zstandard
from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken
from ocd.core.sqlfiles import statement
from ocd.core.store import Store, Stored
from ocd.datasets.subjects import Subject
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import copying, portions, traced
from ocd.lifecycle.portions import Portion
from ocd.lifecycle.traced import Sieve

SOURCE = "lifecycle.erase"
_NOTE = statement(__file__, "insert_rewrite.sql")


@dataclass(frozen=True)
class Rewritten:
    """An archive without a subject's rows: what is left, what went, and the new object."""

    kept: int
    removed: int
    raw_sha256: str
    stored: Stored


def sieve_for(portion: Portion, subjects: Iterable[Subject]) -> Sieve:
    """Return what takes the subjects' rows out of a portion."""
    wanted = tuple(subjects)
    return Sieve(
        portion.dataset,
        portion.columns,
        traced.known_among(wanted),
        traced.needles_of(wanted),
    )


def count(portion: Portion, subjects: Iterable[Subject]) -> int:
    """Return how many rows of the subjects a portion holds; reads it to its end."""
    sieve = sieve_for(portion, subjects)
    for _ in sieve(portion.read()):
        pass
    return sieve.removed


def rewrite(
    conn: Connection,
    portion: Portion,
    subjects: Iterable[Subject],
    *,
    request_id: int,
    run: Run,
    store: Store,
    keeper: Keeper,
) -> int:
    """Write an archive anew without the subjects' rows; returns how many went. Commits once, where any did.

    The new object is read back before the ledger names it, and the old one goes after that: whoever is
    killed between finds the old one again and removes it (`remove_replaced`).
    """
    wanted = tuple(subjects)
    if not count(portion, wanted):
        return 0
    folder, _, leaf = portion.name.rpartition("/")
    made = _written(portion, wanted, store, f"{folder}/without-{request_id}-{leaf}")
    with run.batch(conn) as batch:
        _note(conn, portion, made, request_id, keeper)
        batch.progress(made.removed, None, f"{portion.dataset.name} taken out of archives")
    store.delete(portion.name)
    return made.removed


def _written(portion: Portion, subjects: tuple[Subject, ...], store: Store, name: str) -> Rewritten:
    sieve = sieve_for(portion, subjects)
    compressor = zstandard.ZstdCompressor(
        level=copying.ARCHIVE_LEVEL, write_checksum=True
    ).compressobj()
    raw = hashlib.sha256()
    writer = store.create(name)
    try:
        for block in sieve(portion.read()):
            raw.update(block)
            writer.write(compressor.compress(block))
        writer.write(compressor.flush())
    except BaseException:
        writer.abort()
        raise
    made = Rewritten(sieve.kept, sieve.removed, raw.hexdigest(), writer.commit())
    _read_back(portion, made, subjects, store)
    return made


def _read_back(
    portion: Portion, made: Rewritten, subjects: tuple[Subject, ...], store: Store
) -> None:
    """Raise ContractBroken, so that the old archive stays, unless the new one holds what is left and no more."""

    def read() -> Iterator[bytes]:
        blocks = copying.read_back(store, made.stored.name, stored_sha256=made.stored.sha256)
        return portions.checked(blocks, made.stored.name, made.raw_sha256)

    sieve = sieve_for(portion, subjects)
    for _ in sieve(read()):
        pass
    if sieve.removed or sieve.kept != made.kept or made.kept + made.removed != portion.rows:
        store.delete(made.stored.name)
        raise ContractBroken(
            f"{portion.name}: its copy without the erased rows does not read back; the archive stays as it is"
        )


def _note(
    conn: Connection, portion: Portion, made: Rewritten, request_id: int, keeper: Keeper
) -> None:
    chunk = conn.execute(
        _NOTE,
        {
            "old": portion.name,
            "request_id": request_id,
            "rows": made.kept,
            "removed": made.removed,
            "archive": made.stored.name,
            "stored_bytes": made.stored.size_bytes,
            "raw_sha256": made.raw_sha256,
            "stored_sha256": made.stored.sha256,
        },
    ).one()
    keeper = replace(keeper, run_id=chunk.run_id, keep=chunk.expires_at - keeper.now)
    keeper.index(conn, SOURCE, "archive", made.stored)
    conn.execute(
        text("update ocd.artifact set removed_at = clock_timestamp() where name = :name"),
        {"name": portion.name},
    )


def remove_replaced(conn: Connection, store: Store) -> None:
    """Remove archives that were written anew and whose bytes a killed process left behind."""
    names = conn.execute(
        text("""
            select a.name from ocd.artifact a join ocd.archive_rewrite w on a.run_id = w.run_id
            where a.kind = 'archive' and a.removed_at is not null and a.deleted_at is null group by a.name
        """)
    ).scalars()
    for name in list(names):
        store.delete(name)
    conn.rollback()


def shorten(conn: Connection, folders: Iterable[str], *, by: datetime) -> None:
    """Let these backups expire earlier, by then at the latest. The caller commits."""
    for folder in folders:
        conn.execute(
            text("""
                update ocd.artifact set expires_at = least(expires_at, :by)
                where starts_with(name, :folder) and removed_at is null
            """),
            {"by": by, "folder": f"{folder}/"},
        )


def removed_by(conn: Connection, request_id: int) -> dict[str, int]:
    """Return rows per dataset that an erasure took out of archives, over all its attempts."""
    rows: Any = conn.execute(
        text("""
            select c.dataset, sum(w.removed) as removed from ocd.archive_rewrite w
            join ocd.purge_chunk c using (run_id, generation, number)
            where w.request_id = :id group by c.dataset order by c.dataset
        """),
        {"id": request_id},
    )
    return {row.dataset: int(row.removed) for row in rows}
