"""Bring a backup's tables back into an empty, migrated database, as its manifest describes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from ocd.core import migrate
from ocd.core.db import redacted
from ocd.core.errors import ContractBroken, PolicyRefused
from ocd.core.sqlfiles import plain
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.run import Run
from ocd.lifecycle import content, copying, snapshots, structure
from ocd.lifecycle.manifest import Definition, Manifest, Part, open_part

#: Tables that are loaded at once.
WORKERS = 2
_FOREIGN_KEYS = plain(__file__, "list_foreign_keys.sql")


@dataclass(frozen=True)
class Loaded:
    """One table that was brought back: what it holds, what it consists of, how long it took."""

    content: content.Content | None
    structure: tuple[Definition, ...]
    sequences: dict[str, int | None]
    took_s: float
    damage: str | None = None  # why it did not come back; all else is empty then


Told = Callable[[Part, int], None]
#: What a part's rows pass through on their way, such as a sieve.
Through = Callable[[Part, Iterator[bytes]], Iterator[bytes]]


def telling(run: Run, found: Manifest) -> Told:
    """Show how many rows of all parts are back; several threads tell."""
    lock = threading.Lock()
    restored: dict[str, int] = {}

    def told(part: Part, rows: int) -> None:
        with lock:
            restored[part.dataset] = rows
            run.progress(sum(restored.values()), found.rows, "rows restored")

    return told


def rebuild(
    url: str,
    manifest: Manifest,
    store: Store,
    *,
    told: Told = lambda part, rows: None,
    through: Through = lambda part, blocks: blocks,
) -> dict[str, Loaded]:
    """Migrate the empty database at `url` to the backup's revision and load every part into it.

    A part that does not come back says why and leaves its table empty, or without an index that cannot be made;
    the others are loaded all the same.
    `told` hears how many rows of a part are back, from several threads, and stops the work by raising.
    Raises PolicyRefused, before anything is changed, where one of the tables holds a row.
    """
    _require_empty(url, manifest)
    migrate.upgrade(url, manifest.schema_revision)
    by_size = sorted(manifest.parts, key=lambda part: -part.raw_bytes)
    with psycopg.connect(url) as conn:
        foreign_keys = _drop_foreign_keys(conn, by_size)
    with ThreadPoolExecutor(WORKERS) as pool:
        filled = list(pool.map(lambda part: _fill(url, part, store, told, through), by_size))
        # One table's indexes and its hash are work for several: the largest table is most of the work.
        ending = [_end(pool, url, store, *one) for one in zip(by_size, filled, strict=True)]
        loaded = {part.dataset: end() for part, end in zip(by_size, ending, strict=True)}
    whole = {dataset_named(name).table for name, one in loaded.items() if not one.damage}
    with psycopg.connect(url) as conn:
        broken = _add_foreign_keys(conn, foreign_keys, whole)
        return {name: _with_structure(conn, name, one, broken) for name, one in loaded.items()}


def _require_empty(url: str, manifest: Manifest) -> None:
    with psycopg.connect(url) as conn:
        for part in manifest.parts:
            table = copying.table_of(dataset_named(part.dataset))
            there = conn.execute("select to_regclass(%s)", [table.as_string(conn)]).fetchone()
            if there == (None,):
                continue
            if conn.execute(sql.SQL("select 1 from {} limit 1").format(table)).fetchone():
                raise PolicyRefused(
                    f"{part.dataset} is not empty there; a backup is rebuilt in an empty database only"
                )


@dataclass(frozen=True)
class _Filled:
    """A table with its rows, committed; measured, unless it lacks indexes still."""

    took_s: float
    indexes: tuple[Definition, ...] = ()
    content: content.Content | None = None
    damage: str | None = None


def _fill(url: str, part: Part, store: Store, told: Told, through: Through) -> _Filled:
    started = time.monotonic()
    indexes: tuple[Definition, ...] = ()
    found = damage = None
    try:
        with psycopg.connect(url) as conn, conn.cursor() as cursor:
            indexes = _load(cursor, part, store, told, through)
            found = None if indexes else _measured(cursor, part)
    except ContractBroken as error:
        damage = error.message
    except psycopg.Error as error:
        damage = _damage(part, store, error)
    if damage is not None:
        return _Filled(time.monotonic() - started, damage=damage)
    return _Filled(time.monotonic() - started, indexes, found, damage)


def _end(
    pool: ThreadPoolExecutor, url: str, store: Store, part: Part, filled: _Filled
) -> Callable[[], Loaded]:
    """Have the table's other indexes made and its content measured; returns what waits for that."""
    if not filled.indexes:
        return lambda: Loaded(filled.content, (), {}, filled.took_s, filled.damage)
    built = [pool.submit(_build, url, one) for one in filled.indexes]
    measured = pool.submit(_measure, url, part)

    def wait() -> Loaded:
        try:
            found, took_s = measured.result()
            took_s += filled.took_s + sum(one.result() for one in built)
        except psycopg.Error as error:
            return Loaded(None, (), {}, filled.took_s, _damage(part, store, error))
        return Loaded(found, (), {}, took_s)

    return wait


def _build(url: str, index: Definition) -> float:
    started = time.monotonic()
    with psycopg.connect(url) as conn:
        conn.execute(copying.condition(index.definition))
    return time.monotonic() - started


def _measure(url: str, part: Part) -> tuple[content.Content, float]:
    started = time.monotonic()
    with psycopg.connect(url) as conn, conn.cursor() as cursor:
        snapshots.pin(cursor)
        found = _measured(cursor, part)
    return found, time.monotonic() - started


def _measured(cursor: psycopg.Cursor[Any], part: Part) -> content.Content:
    return content.measure(cursor, dataset_named(part.dataset), part.columns, part.hashed_as_text)


def _damage(part: Part, store: Store, error: psycopg.Error) -> str:
    """Say what is wrong with a part that the database refused; raises its error where the part is as it was.

    What a damaged part unpacks to may reach the database before the damage shows.
    """
    try:
        for _ in open_part(store, part):
            pass
    except ContractBroken as damage:
        return damage.message
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError | psycopg.ProgrammingError):
        return f"the rows do not fit: {redacted(error).message}"
    raise error


def _load(
    cursor: psycopg.Cursor[Any], part: Part, store: Store, told: Told, through: Through
) -> tuple[Definition, ...]:
    """Load a part into its empty table, with the columns and constraints that it lacks there; the caller commits.

    Returns the indexes that it lacks still: those that keep nothing from being there twice. Raises ContractBroken
    where the part is damaged, and the database's errors where rows do not fit.
    """
    snapshots.pin(cursor)
    dataset = dataset_named(part.dataset)
    cursor.execute(sql.SQL("truncate {}").format(copying.table_of(dataset)))
    _add_columns(cursor, dataset, part)
    dropped = _drop_indexes(cursor, dataset) if part.rows else ()
    restored = 0

    def counted(block: bytes) -> bytes:
        nonlocal restored
        restored += block.count(b"\n")
        told(part, restored)
        return block

    blocks = through(part, map(counted, open_part(store, part)))
    copying.copy_in(cursor, dataset, part.columns, blocks, is_new=True)
    missing = _missing(cursor, dataset, (*dropped, *part.structure))
    _make(cursor, dataset, [one for one in missing if not _can_wait(one)])
    _set_sequences(cursor, part)
    return tuple(one for one in missing if _can_wait(one))


def _add_columns(cursor: psycopg.Cursor[Any], dataset: Dataset, part: Part) -> None:
    """Add the columns that only the source had, so that nothing of it is lost."""
    ours = {column.name for column in dataset.columns}
    for name, kind in part.columns.items():
        if name not in ours:
            cursor.execute(
                sql.SQL("alter table {} add column if not exists {} {}").format(
                    copying.table_of(dataset), sql.Identifier(name), copying.condition(kind)
                )
            )


def _drop_indexes(cursor: psycopg.Cursor[Any], dataset: Dataset) -> tuple[Definition, ...]:
    """Drop every index: building one at the end is cheaper than keeping it. Foreign keys must be gone."""
    found = tuple(one for one in structure.structure_of(cursor, dataset) if _is_index(one))
    table = copying.table_of(dataset)
    for one in found:
        if one.kind == "index":
            cursor.execute(sql.SQL("drop index {}").format(copying.condition(one.name)))
        else:
            cursor.execute(
                sql.SQL("alter table {} drop constraint {}").format(table, sql.Identifier(one.name))
            )
    return found


def _is_index(one: Definition) -> bool:
    return one.kind == "index" or one.definition.startswith(("PRIMARY KEY", "UNIQUE", "EXCLUDE"))


def _can_wait(one: Definition) -> bool:
    return one.kind == "index" and not one.definition.startswith("CREATE UNIQUE")


def _missing(
    cursor: psycopg.Cursor[Any], dataset: Dataset, wanted: Iterable[Definition]
) -> list[Definition]:
    """Return what the table lacks, each once; foreign keys come at the very end and are left out."""
    there = {(one.kind, one.name) for one in structure.structure_of(cursor, dataset)}
    lacking: dict[tuple[str, str], Definition] = {}
    for one in wanted:
        if (one.kind, one.name) not in there and not one.definition.startswith("FOREIGN KEY"):
            lacking.setdefault((one.kind, one.name), one)
    return list(lacking.values())


def _make(cursor: psycopg.Cursor[Any], dataset: Dataset, wanted: Iterable[Definition]) -> None:
    """Make constraints, indexes and policies."""
    table = copying.table_of(dataset)
    for one in wanted:
        made = {
            "index": "{definition}",
            "constraint": "alter table {table} add constraint {name} {definition}",
            "policy": "create policy {name} on {table} {definition}",
        }.get(one.kind)
        if made is not None:
            cursor.execute(
                sql.SQL(made).format(
                    table=table,
                    name=sql.Identifier(one.name),
                    definition=copying.condition(one.definition),
                )
            )


def _set_sequences(cursor: psycopg.Cursor[Any], part: Part) -> None:
    for name, last_value in part.sequences.items():
        if last_value is not None:
            cursor.execute("select setval(%s::regclass, %s)", [name, last_value])


@dataclass(frozen=True)
class _ForeignKey:
    table: str
    referred: str
    name: str
    definition: str


def _drop_foreign_keys(conn: psycopg.Connection[Any], parts: list[Part]) -> list[_ForeignKey]:
    """Drop what ties the tables to one another, so that they load in any order and at once."""
    conn.execute("set local search_path = ''")
    tables = [dataset_named(part.dataset).table for part in parts]
    rows = conn.execute(_FOREIGN_KEYS, {"tables": tables}).fetchall()
    found = [_ForeignKey(*row) for row in rows]
    for one in found:
        conn.execute(
            sql.SQL("alter table {} drop constraint {}").format(
                copying.condition(one.table), sql.Identifier(one.name)
            )
        )
    return found


def _add_foreign_keys(
    conn: psycopg.Connection[Any], foreign_keys: list[_ForeignKey], whole: set[str]
) -> dict[str, str]:
    """Add them again, checked where both tables are `whole`; returns table → what does not hold."""
    conn.execute("set local search_path = ''")
    broken = {}
    for one in foreign_keys:
        # One that refers to a table that no backup holds cannot be checked.
        unchecked = "" if {one.table, one.referred} <= whole else " not valid"
        statement = sql.SQL("alter table {} add constraint {} {}{}").format(
            copying.condition(one.table),
            sql.Identifier(one.name),
            copying.condition(one.definition.removesuffix(" NOT VALID")),
            sql.SQL(unchecked),
        )
        try:
            with conn.transaction():
                conn.execute(statement)
        except psycopg.IntegrityError as error:
            broken[one.table] = f"the rows do not fit: {redacted(error).message}"
    return broken


def _with_structure(
    conn: psycopg.Connection[Any], name: str, one: Loaded, broken: dict[str, str]
) -> Loaded:
    dataset = dataset_named(name)
    if one.damage is not None:
        return one
    with conn.cursor() as cursor:
        cursor.execute("set local search_path = ''")
        return Loaded(
            one.content,
            structure.structure_of(cursor, dataset),
            structure.sequences_of(cursor, dataset),
            one.took_s,
            broken.get(dataset.table),
        )
