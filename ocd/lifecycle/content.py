"""A hash of what a table holds, equal wherever the same rows lie, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from ocd.datasets.facts import Dataset
from ocd.lifecycle import copying


@dataclass(frozen=True)
class Content:
    """What one scan says: rows, their hash, and the event time of the oldest and the newest (ISO)."""

    rows: int
    digest: str
    oldest: str | None
    newest: str | None


def without_hash(cursor: psycopg.Cursor[Any], kinds: Iterable[str]) -> set[str]:
    """Return the types that have no hash function of their own, such as json, xml or point."""
    return {kind for kind in set(kinds) if not _has_hash(cursor, kind)}


def _has_hash(cursor: psycopg.Cursor[Any], kind: str) -> bool:
    # By asking, not from the catalog: arrays, domains, ranges and composites depend on what is in them.
    probe = sql.SQL("select hash_record_extended(row(null::{}), 0)").format(copying.condition(kind))
    try:
        with cursor.connection.transaction():
            cursor.execute(probe)
    except pg.UndefinedFunction:
        return False
    return True


def measure(
    cursor: psycopg.Cursor[Any],
    dataset: Dataset,
    names: Iterable[str],
    as_text: Iterable[str] = (),
) -> Content:
    """Count and hash the table in the snapshot of `cursor`, in one scan.

    The digest is the sums of two differently seeded record hashes, 128 bits: a sum, not an xor, because equal
    pairs of rows would cancel. It is equal on servers of the same major version. Columns in `as_text` go in as
    the text that they print as, so the session has to be pinned.
    """
    texts = set(as_text)
    shown = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) if name in texts else sql.Identifier(name)
        for name in names
    )
    query = sql.SQL(
        "select count(*), coalesce(sum(hash_record_extended(r, 0)), 0),"
        " coalesce(sum(hash_record_extended(r, 42)), 0), min(e)::text, max(e)::text"
        " from (select row({}) as r, {} as e from {}) t"
    ).format(shown, sql.Identifier(dataset.event_time), copying.table_of(dataset))
    row = cursor.execute(query).fetchone()
    assert row is not None, "an aggregate gives a row"  # noqa: S101
    return Content(int(row[0]), f"{row[1]}:{row[2]}", row[3], row[4])
