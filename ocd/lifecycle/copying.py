"""COPY out of and into PostgreSQL as zstd-compressed text, hashed on the way, in bounded memory."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, cast

import psycopg
import zstandard
from psycopg import generators, sql
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Wait
from sqlalchemy import Connection

from ocd.core.errors import ConfigError, ContractBroken
from ocd.core.store import Store, Stored, Writer
from ocd.datasets.facts import Dataset

#: Rows are handed on in blocks of about this size; single rows cost three times as much.
BLOCK = 256 * 1024
#: Blocks that were read and are not written yet, at most.
BLOCKS_AHEAD = 4
BACKUP_LEVEL = 3
ARCHIVE_LEVEL = 1


@dataclass(frozen=True)
class Copied:
    """One COPY's outcome: rows, raw text size and hash, and the stored object."""

    rows: int
    raw_bytes: int
    raw_sha256: str
    stored: Stored


def table_of(dataset: Dataset) -> sql.Composed:
    """Return the quoted, schema-qualified table."""
    return sql.SQL("{}").format(sql.Identifier(dataset.schema, dataset.relation))


def columns_of(names: Iterable[str]) -> sql.Composed:
    """Return a quoted column list."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def condition(text: str) -> sql.SQL:
    """Return a condition of our own facts as SQL; never for text from outside."""
    return sql.SQL(text)


def cursor_of(conn: Connection) -> psycopg.Cursor[Any]:
    """Return a psycopg cursor inside the transaction of `conn`."""
    driver = cast("psycopg.Connection[Any]", conn.connection.driver_connection)
    return driver.cursor()


def copy_out(
    cursor: psycopg.Cursor[Any],
    query: sql.Composed,
    store: Store,
    name: str,
    *,
    level: int,
    progress: Callable[[int], None] = lambda rows: None,
) -> Copied:
    """Run `COPY (query) TO STDOUT` into a zstd object of the store; forgets it when anything fails."""
    writer = store.create(name)
    packing = _Packing(writer, level)
    rows = size = 0
    try:
        with packing, cursor.copy(sql.SQL("copy ({}) to stdout").format(query)) as copy:
            for block, lines in _blocks(copy):
                packing.add(block)
                rows += lines
                size += len(block)
                progress(rows)
        packing.finish()
    except BaseException:
        writer.abort()
        raise
    return Copied(rows, size, packing.raw_sha256, writer.commit())


class _Packing:
    """Hashes, compresses and writes blocks in a thread, so that the next rows are read meanwhile.

    Leaving it as a context waits for what was added. What the thread raises, `add` and `finish` raise.
    """

    def __init__(self, writer: Writer, level: int) -> None:
        self._writer = writer
        self._raw = hashlib.sha256()
        self._frame = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
        self._thread = ThreadPoolExecutor(1, "packing")
        self._added: deque[Future[None]] = deque()

    def __enter__(self) -> None:
        """Begin; the thread starts with the first block."""

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def add(self, block: bytearray) -> None:
        """Take a block; waits where too many are not written yet."""
        self._added.append(self._thread.submit(self._pack, block))
        if len(self._added) > BLOCKS_AHEAD:
            self._added.popleft().result()

    def _pack(self, block: bytearray) -> None:
        self._raw.update(block)
        self._writer.write(self._frame.compress(block))

    def finish(self) -> None:
        """Write the end of the frame, behind all blocks."""
        for one in self._added:
            one.result()
        self._writer.write(self._frame.flush())

    @property
    def raw_sha256(self) -> str:
        """Hash of all blocks, as hex."""
        return self._raw.hexdigest()


def _blocks(copy: psycopg.Copy) -> Iterator[tuple[bytearray, int]]:
    """Yield COPY's rows in blocks, with the number of rows in each."""
    is_over = False
    while not is_over:
        block, rows, is_over = copy.connection.wait(_gather(copy.connection.pgconn))
        if rows:
            yield block, rows


def _gather(connection: PGconn) -> PQGen[tuple[bytearray, int, bool]]:
    """Gather rows until they fill a block; returns it, its number of rows, and whether the COPY is over.

    What psycopg does for each row by itself: entering and leaving its wait costs more than the row.
    """
    block, rows = bytearray(), 0
    while len(block) < BLOCK:
        size, row = connection.get_copy_data(1)
        if size > 0:
            block += row
            rows += 1
        elif size == 0:
            while not (yield Wait.R):
                continue
            connection.consume_input()
        else:
            yield from _finish(connection)
            return block, rows, True
    return block, rows, False


def _finish(connection: PGconn) -> PQGen[None]:
    """Take the COPY's result; raises what the server ended it with."""
    for result in (yield from generators.fetch_many(connection)):
        if result.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)


def read_back(store: Store, name: str, *, stored_sha256: str | None = None) -> Iterator[bytes]:
    """Yield the raw text of a stored COPY in blocks of at most BLOCK bytes.

    Raises ContractBroken where it is missing or does not decompress, or at the end where the stored bytes do not
    have the given hash: flipped, cut short, or with something behind them.
    """
    if store.size(name) is None:
        raise ContractBroken(f"{name}: missing")
    digest = hashlib.sha256()
    stored = _hashed(store.open_stored(name), digest)
    try:
        opened = store.unseal(stored)
        yield from _unpacked(opened)
        for _ in itertools.chain(opened, stored):
            pass  # what lies behind the frame is hashed as well
    except zstandard.ZstdError as error:
        raise ContractBroken(f"{name}: damaged: it does not decompress") from error
    except ContractBroken as error:
        raise ContractBroken(f"{name}: {error.message}") from error
    except ConfigError:
        # No key fits: the wrong one is at hand, unless the bytes that name the keys were changed.
        for _ in stored:
            pass
        _require(name, digest, stored_sha256)
        raise
    _require(name, digest, stored_sha256)


def _unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    # A reader with a fixed output size: one stored block of repetitive rows unpacks into gigabytes.
    frame = zstandard.ZstdDecompressor().stream_reader(
        cast("IO[bytes]", _File(blocks)), read_size=BLOCK, closefd=False
    )
    while text := frame.read(BLOCK):
        yield text


def _require(name: str, digest: hashlib._Hash, stored_sha256: str | None) -> None:
    if stored_sha256 is not None and digest.hexdigest() != stored_sha256:
        raise ContractBroken(f"{name}: damaged: the stored bytes changed")


def _hashed(blocks: Iterator[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


class _File:
    """A file-like view of blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self, size: int = -1) -> bytes:
        """Return the next block, whatever `size` is; empty at the end."""
        return next(self._blocks, b"")


def copy_in(
    cursor: psycopg.Cursor[Any],
    dataset: Dataset,
    names: Iterable[str],
    blocks: Iterable[bytes],
    *,
    is_new: bool = False,
) -> None:
    """Run `COPY table FROM STDIN`; `is_new`: the table was created or emptied in this very transaction."""
    options = sql.SQL(" with (freeze)" if is_new else "")
    statement = sql.SQL("copy {} ({}) from stdin{}").format(
        table_of(dataset), columns_of(names), options
    )
    with cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)
