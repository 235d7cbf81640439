"""What the planner thinks that rules cost, in its own units; nothing is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement

from ocd.quality.rule import Rule, Source
from ocd.quality.scan import View, statement_of


def of(conn: Connection, source: Source, rules: Sequence[Rule], view: View) -> float:
    """Return the cost of one scan for these rules; 0 where the planner refuses one of them."""
    try:
        with conn.begin_nested():
            return of_statement(conn, statement_of(source, rules, view), view)
    except DBAPIError:
        return 0.0  # the scan itself finds out which rule is broken


def of_statement(conn: Connection, statement: ClauseElement, view: View) -> float:
    """Return the cost of a statement."""
    compiled = statement.compile(dialect=conn.dialect)
    parameters: Any = compiled.params | {"now": view.now}
    found = conn.exec_driver_sql(f"explain (format json) {compiled}", parameters).scalar_one()
    return float(found[0]["Plan"]["Total Cost"])
