"""Conditions that are easier said in Python than in a file: SQLAlchemy expressions, true for good rows.

A rule of kind `python` names one of EXPRESSIONS and gives its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Numeric, and_, case, cast, false, func, literal_column
from sqlalchemy.sql.expression import FromClause


def integer_in_document(
    table: FromClause, column: str, key: str, low: int, high: int
) -> ColumnElement[Any]:
    """A key of a JSON object is an integer from low to high, or not given.

    CASE, because AND promises no order: a cast before the type test would raise on text.
    """
    kind = func.jsonb_typeof(table.c[column].op("->")(key))
    number = cast(table.c[column].op("->>")(key), Numeric)
    is_whole = and_(number.between(low, high), number == func.trunc(number))
    return case((kind == "number", is_whole), (kind.is_not(None), false()))


def document_given(table: FromClause, column: str) -> ColumnElement[Any]:
    """A JSON column is there and not the JSON value null."""
    kind = func.jsonb_typeof(table.c[column])
    return func.coalesce(kind, literal_column("'null'")) != literal_column("'null'")


EXPRESSIONS: Mapping[str, Callable[..., ColumnElement[Any]]] = {
    "document_given": document_given,
    "integer_in_document": integer_in_document,
}
