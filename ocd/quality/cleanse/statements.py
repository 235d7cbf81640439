"""The statements of a cleansing, built from the fixes: one expression per column, old and new side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.datasets.facts import Column, Dataset
from ocd.quality.cleanse.fixes import Fix


@dataclass(frozen=True)
class Mended:
    """One column with its fixes, in order; each makes a step whose value the next one takes."""

    column: str
    fixes: tuple[Fix, ...]

    @property
    def old(self) -> str:
        """Expression of the value as it is."""
        return f't."{self.column}"'

    @property
    def new(self) -> str:
        """Expression of the value with every fix made."""
        return self.after(len(self.fixes))

    def after(self, steps: int) -> str:
        """Return the expression of the value after so many fixes."""
        return f'"{self.column}_{steps}".value' if steps else self.old


def be_careful(conn: Connection) -> None:
    """Set this transaction up to see every row or fail, and to wait for nobody for long.

    A login that row security would filter gets an error, not some of the rows. Batches go along a key:
    without fresh statistics the server would rather read and sort all that lies ahead, in each of them.
    """
    conn.execute(
        text("""
            select set_config('row_security', 'off', true), set_config('lock_timeout', '2s', true),
                   set_config('statement_timeout', '60s', true), set_config('enable_bitmapscan', 'off', true),
                   set_config('enable_sort', 'off', true)
        """)
    )


def columns_of(fixes: Iterable[Fix]) -> tuple[Mended, ...]:
    """Return the columns that the fixes mend, each once."""
    by_column: dict[str, list[Fix]] = {}
    for fix in fixes:
        by_column.setdefault(fix.column, []).append(fix)
    return tuple(Mended(name, tuple(own)) for name, own in by_column.items())


def mended(dataset: Dataset, columns: Iterable[Mended]) -> sql.Composed:
    """Return the table as `t`, with the value of each column after each of its fixes beside it."""
    parts = [sql.SQL("{} t").format(sql.Identifier(dataset.schema, dataset.relation))]
    for one in columns:
        for number, fix in enumerate(one.fixes):
            # OFFSET 0 keeps a step from being written into the next one, where it would be computed at every use.
            parts.append(
                sql.SQL("cross join lateral (select {} as value offset 0) {}").format(
                    expression(fix.fixer.mended(one.after(number))),
                    sql.Identifier(f"{one.column}_{number + 1}"),
                )
            )
    return sql.SQL(" ").join(parts)


def expression(constant: str) -> sql.SQL:
    """Return an expression of our own fixes as SQL; never for text from outside."""
    return sql.SQL(constant)


def table_of(dataset: Dataset) -> sql.Identifier:
    """Return the quoted, schema-qualified table."""
    return sql.Identifier(dataset.schema, dataset.relation)


def is_faulty(columns: Iterable[Mended]) -> sql.Composed:
    """Return the condition of rows in which something is to be mended."""
    return sql.SQL(" or ").join(
        sql.SQL("{} is distinct from {}").format(expression(one.old), expression(one.new))
        for one in columns
    )


def conversation_of(dataset: Dataset) -> sql.SQL:
    """Return the expression of the conversation that a row belongs to, NULL where the table knows none."""
    return sql.SQL("t.conversation_id::text" if knows_conversations(dataset) else "null::text")


def knows_conversations(dataset: Dataset) -> bool:
    """Whether rows of the table belong to conversations."""
    return any(one.name == "conversation_id" for one in dataset.columns)


def cast_of(column: Column, said: str) -> sql.Composed:
    """Return the expression that reads a column's value back from its text."""
    return sql.SQL("cast({} as {})").format(expression(said), expression(column.type))


def cursor_of(conn: Connection) -> psycopg.Cursor[Any]:
    """Return the driver's cursor inside the transaction of `conn`."""
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection).cursor()
