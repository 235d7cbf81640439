"""What a table consists of besides its rows: columns, constraints, indexes, row security, policies, sequences."""

from __future__ import annotations

from typing import Any

import psycopg

from ocd.core.sqlfiles import plain
from ocd.datasets.facts import Dataset
from ocd.lifecycle import copying
from ocd.lifecycle.manifest import Definition

_STRUCTURE = plain(__file__, "list_structure.sql")
_SEQUENCES = plain(__file__, "list_sequences.sql")


def structure_of(cursor: psycopg.Cursor[Any], dataset: Dataset) -> tuple[Definition, ...]:
    """Return what holds and guards the table's rows, in order; wants an empty search_path."""
    rows = cursor.execute(_STRUCTURE, {"relation": _relation(cursor, dataset)}).fetchall()
    return tuple(Definition(*row) for row in rows)


def sequences_of(cursor: psycopg.Cursor[Any], dataset: Dataset) -> dict[str, int | None]:
    """Return name → last value of the sequences that number the table's columns.

    One that this login may not read is left out.
    """
    rows = cursor.execute(_SEQUENCES, {"relation": _relation(cursor, dataset)}).fetchall()
    return {name: last_value for name, last_value, is_readable in rows if is_readable}


def _relation(cursor: psycopg.Cursor[Any], dataset: Dataset) -> str:
    return copying.table_of(dataset).as_string(cursor)
