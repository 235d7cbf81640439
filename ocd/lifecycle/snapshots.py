"""Sessions that see one and the same instant, and print every value in the one same way.

A copy is taken by several connections at once: they import the snapshot that the first exports.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.db import beside

#: How values print as text; source and scratch must agree, whatever their servers are set to.
PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "search_path": "",
}
#: A role under row security would read its own rows only, silently; this makes it an error.
_SEES_ALL = {"row_security": "off", "statement_timeout": "0"}


def begin(conn: Connection) -> str:
    """Begin a read-only transaction of `conn` that exports its snapshot; returns the snapshot's name."""
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    for name, value in (PINNED | _SEES_ALL).items():
        conn.execute(text("select set_config(:name, :value, true)"), {"name": name, "value": value})
    # Its transaction only waits while the others read.
    conn.execute(text("set local idle_in_transaction_session_timeout = 0"))
    return str(conn.execute(text("select pg_export_snapshot()")).scalar_one())


@contextmanager
def joined(conn: Connection, snapshot: str) -> Iterator[psycopg.Cursor[Any]]:
    """Open a further connection of the same login in the snapshot that `conn` holds."""
    with beside(conn) as other, other.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read read only")
        cursor.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
        pin(cursor)
        _set(cursor, _SEES_ALL)
        yield cursor
        other.rollback()


def pin(cursor: psycopg.Cursor[Any]) -> None:
    """Make values print as everywhere, until the transaction ends."""
    _set(cursor, PINNED)


def _set(cursor: psycopg.Cursor[Any], settings: dict[str, str]) -> None:
    cursor.execute(
        "select set_config(name, value, true) from unnest(%s::text[], %s::text[]) as s (name, value)",
        [list(settings), list(settings.values())],
    )
