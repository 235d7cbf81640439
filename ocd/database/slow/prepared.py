"""Explain a statement that has `$1` for its values: prepared, so that it needs none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from ocd.core.errors import ConfigError
from ocd.database.plans import Plan

_NAME = "ocd_slow"
#: Statements that have a plan; the rest are commands.
_PLANNED = re.compile(r"(?:select|with|insert|update|delete|merge|values|table)\b")
_IS_PREPARED = "select parameter_types::text[] from pg_prepared_statements where name = 'ocd_slow'"


@contextmanager
def prepared(conn: Connection, statement: str) -> Iterator[Prepared]:
    """Yield the prepared statement; what is done in the body is undone.

    Raises ConfigError, saying why, where the text cannot be prepared or explained: it was cut, is a
    command, or speaks of tables that are not here.
    """
    # What is left of a semicolon would be a second command.
    if ";" in statement or not _PLANNED.match(statement):
        raise ConfigError("not one statement that has a plan")
    savepoint = conn.begin_nested()
    driver = cast("psycopg.Connection[Any]", conn.connection.driver_connection)
    try:
        yield Prepared(driver, statement)
    except psycopg.Error as error:
        raise ConfigError(f"cannot be explained here: {type(error).__name__}") from error
    finally:
        savepoint.rollback()
        # Preparing is undone by no rollback.
        if driver.execute(_IS_PREPARED).fetchone():
            driver.execute(f"deallocate {_NAME}")


class Prepared:
    """A prepared statement of one connection."""

    def __init__(self, driver: psycopg.Connection[Any], statement: str) -> None:
        self._driver = driver
        # In binary, so by the protocol that takes one command only, whatever the text holds.
        psycopg.RawCursor(driver).execute(f"prepare {_NAME} as {statement}".encode(), binary=True)
        self.types: list[str] = self._run(_IS_PREPARED)[0]

    def generic(self) -> Plan:
        """Return the plan that fits any values; nothing is carried out."""
        self._run("select set_config('plan_cache_mode', 'force_generic_plan', true)")
        return self._explain("", [None] * len(self.types))[0]

    def carry_out(self, values: Sequence[str | None]) -> tuple[Plan, float]:
        """Carry it out with these values; returns plan and milliseconds."""
        self._run("select set_config('plan_cache_mode', 'force_custom_plan', true)")
        return self._explain(", analyze, timing off", values)

    def _explain(self, options: str, values: Sequence[str | None]) -> tuple[Plan, float]:
        query = f"explain (verbose, format json{options}) execute {_NAME}"
        if values:
            query += (
                "(" + ", ".join(sql.Literal(one).as_string(self._driver) for one in values) + ")"
            )
        (found,) = self._run(query)[0]
        return Plan(found["Plan"]), float(found.get("Execution Time", 0))

    def _run(self, query: str) -> tuple[Any, ...]:
        row = self._driver.execute(query).fetchone()
        assert row is not None, "each of these gives a row"  # noqa: S101
        return tuple(row)
