"""What the planner thinks that rules cost, in its own units; nothing is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal_column
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.visitors import replacement_traverse

from ocd.quality.rule import Rule, Source
from ocd.quality.scan import View, statement_of


class Standard(PGDialect):
    """PostgreSQL without a server: a backslash in a text is itself."""

    default_paramstyle = "named"
    supports_statement_cache = True
    _backslash_escapes = False


def of(conn: Connection, source: Source, rules: Sequence[Rule], view: View) -> float:
    """Return the cost of one scan for these rules; 0 where the planner refuses one of them."""
    try:
        with conn.begin_nested():
            return of_statement(conn, statement_of(source, rules, view), view)
    except DBAPIError:
        return 0.0  # the scan itself finds out which rule is broken


def of_statement(conn: Connection, statement: ClauseElement, view: View) -> float:
    """Return the cost of a statement."""
    asked = as_sql(statement, view.now).replace("%", "%%")
    found = conn.exec_driver_sql(f"explain (format json) {asked}").scalar_one()
    return float(found[0]["Plan"]["Total Cost"])


def as_sql(statement: ClauseElement, now: datetime, dialect: PGDialect | None = None) -> str:
    """Return a statement or an expression as one line that can be run, with every constant in it."""
    instant: ColumnElement[Any] = literal_column(f"timestamptz '{now.isoformat()}'")

    def with_instant(one: Any, **_: Any) -> ColumnElement[Any] | None:
        return instant if getattr(one, "key", None) == "now" else None

    written = replacement_traverse(statement, {}, with_instant)  # type: ignore[call-overload]
    how = {"literal_binds": True, "render_postcompile": True}
    spoken = dialect or Standard()  # type: ignore[no-untyped-call]
    compiled = str(written.compile(dialect=spoken, compile_kwargs=how))
    lines = (line for line in compiled.splitlines() if not line.lstrip().startswith("--"))
    return " ".join(" ".join(lines).split())
