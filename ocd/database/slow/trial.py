"""Try an index in a scratch database that holds a copy of the tables, and measure before and after."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError
from ocd.database.plans import Plan
from ocd.database.slow.candidates import Candidate, candidates, comparisons
from ocd.database.slow.prepared import Prepared, prepared

ROUNDS = 3
#: An index is proposed if the planner finds the statement so many times cheaper with it.
WORTH = 2.0
#: What costs less than reading some fifty pages needs no help.
CHEAP = 50.0
#: A page of rows, where the statement says `limit $n`.
PAGE = "50"
_LIMIT = re.compile(r"\blimit \$(\d+)")
_OFFSET = re.compile(r"\boffset \$(\d+)")


@dataclass(frozen=True)
class Trial:
    """An index that helps: what it changes on so many copied rows. Times are None where no value is known."""

    index: str
    rows: int
    cost_before: float
    cost_after: float
    ms_before: float | None
    ms_after: float | None
    index_bytes: int


@dataclass(frozen=True)
class _Measured:
    plan: Plan
    ms: float | None


class Laboratory:
    """A scratch database at the newest revision, with the tables that were asked for so far."""

    def __init__(self, live: Connection, scratch: Connection, max_rows: int) -> None:
        self._live, self._scratch, self._max_rows = live, scratch, max_rows
        self._copied: dict[str, int] = {}

    def best(self, statement: str, role: str | None, plan: Plan) -> Trial | None:
        """Return the index that helps most, None where none does; leaves the scratch database as it was."""
        self._copy(_tables(plan))
        before = self._measure(statement, role, None)[0]
        tried = [self._try(statement, role, one, before) for one in candidates(plan)]
        helpful = [one for one in tried if one is not None]
        return min(helpful, key=lambda one: (one.cost_after, one.index_bytes), default=None)

    def _try(
        self, statement: str, role: str | None, candidate: Candidate, before: _Measured
    ) -> Trial | None:
        try:
            after, size = self._measure(statement, role, candidate)
        except DBAPIError:
            return None  # a column that cannot be indexed like this: a document, a long text
        is_cheaper = max(after.plan.cost * WORTH, CHEAP) <= before.plan.cost
        is_slower = before.ms is not None and after.ms is not None and after.ms >= before.ms
        if not is_cheaper or is_slower:
            return None
        return Trial(
            str(candidate),
            self._copied[candidate.table],
            before.plan.cost,
            after.plan.cost,
            before.ms,
            after.ms,
            size,
        )

    def _measure(
        self, statement: str, role: str | None, candidate: Candidate | None
    ) -> tuple[_Measured, int]:
        """Carry the statement out, with an index if one is given; everything is rolled back."""
        self._scratch.rollback()
        size = self._build(candidate) if candidate else 0
        with prepared(self._scratch, statement) as one:
            values = self._values(statement, one)
            self._become(role)
            found = _measured(one, values)
        self._scratch.rollback()
        return found, size

    def _build(self, candidate: Candidate) -> int:
        self._scratch.exec_driver_sql(
            str(candidate).replace("create index on", "create index ocd_candidate on")
        )
        schema = candidate.table.split(".", maxsplit=1)[0]
        size: int = self._scratch.execute(
            text("select pg_relation_size(to_regclass(:name))"), {"name": f"{schema}.ocd_candidate"}
        ).scalar_one()
        return size

    def _become(self, role: str | None) -> None:
        """Read as the role did, under its policies; a login that is not here reads everything."""
        known = "select 1 from pg_roles where rolname = :role and not rolcanlogin"
        if role and self._scratch.execute(text(known), {"role": role}).first():
            self._scratch.execute(text("select set_config('role', :role, true)"), {"role": role})

    def _values(self, statement: str, one: Prepared) -> list[str | None] | None:
        """Return a value for each parameter, taken from the copied rows; None where one has no column."""
        wanted: dict[int, str] = {int(n): PAGE for n in _LIMIT.findall(statement)}
        wanted |= {int(n): "0" for n in _OFFSET.findall(statement)}
        for table, column, sign, number in _asked(one.generic()):
            wanted.setdefault(number, self._value(table, column, sign) or "")
        numbers = range(1, len(one.types) + 1)
        return [wanted[n] for n in numbers] if all(wanted.get(n) for n in numbers) else None

    def _value(self, table: str, column: str, sign: str) -> str | None:
        """Return a value in the middle for `=`, one near the end for a bound: few rows lie beyond."""
        place = {"=": 0.5, ">": 0.98, ">=": 0.98, "<": 0.02, "<=": 0.02}[sign]
        query = (
            f"select percentile_disc({place}) within group (order by {column})::text from {table}"  # noqa: S608 - names out of a plan, quoted there
        )
        value: str | None = self._scratch.exec_driver_sql(query).scalar()
        return value

    def _copy(self, tables: Iterable[str]) -> None:
        """Copy so many rows of each table that is not here yet; raises ConfigError for one not of ours."""
        for table in sorted(set(tables) - set(self._copied)):
            self._copied[table] = _copy_table(
                _driver(self._live), _driver(self._scratch), table, self._max_rows
            )
        self._scratch.commit()


@contextmanager
def laboratory(live: Connection, max_rows: int) -> Iterator[Laboratory]:
    """Yield an empty scratch database of this code's revision; removed afterwards.

    `live` is only read, and must see every row. Raises ConfigError where no server is installed here.
    """
    with scratch_postgres() as url:
        migrate.upgrade(url)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with engine.connect() as scratch:
            yield Laboratory(live, scratch, max_rows)
        engine.dispose()


def _measured(one: Prepared, values: list[str | None] | None) -> _Measured:
    if values is None:
        return _Measured(one.generic(), None)
    found = [one.carry_out(values) for _ in range(ROUNDS)]
    return _Measured(found[-1][0], statistics.median(took_ms for _, took_ms in found))


def _tables(plan: Plan) -> set[str]:
    return {
        f"{node['Schema']}.{node['Relation Name']}"
        for node in plan.nodes()
        if "Relation Name" in node
    }


def _asked(plan: Plan) -> Iterator[tuple[str, str, str, int]]:
    """Yield (table, column, sign, parameter) for every column that is compared with a parameter."""
    for node in plan.nodes():
        for column, sign, operand in comparisons(node) if "Relation Name" in node else ():
            if operand:
                yield f"{node['Schema']}.{node['Relation Name']}", column, sign, int(operand[1:])


def _copy_table(
    live: psycopg.Connection[tuple[object, ...]],
    scratch: psycopg.Connection[tuple[object, ...]],
    table: str,
    max_rows: int,
) -> int:
    columns = scratch.execute(
        "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
        [table],
    ).fetchall()
    if not columns:
        raise ConfigError(f"{table} is no table of ours")
    name = sql.Identifier(*table.split("."))
    names = sql.SQL(", ").join(sql.Identifier(str(column)) for (column,) in columns)
    rows = sql.SQL("copy (select {} from {} limit {}) to stdout").format(
        names, name, sql.Literal(max_rows)
    )
    # Parents need not be there, and no trigger shall change a row.
    scratch.execute("set local session_replication_role = replica")
    cursor = scratch.cursor()
    into = sql.SQL("copy {} ({}) from stdin").format(name, names)
    with live.cursor().copy(rows) as source, cursor.copy(into) as target:
        for block in source:
            target.write(block)
    scratch.execute(sql.SQL("analyze {}").format(name))
    return cursor.rowcount


def _driver(conn: Connection) -> psycopg.Connection[tuple[object, ...]]:
    if not conn.in_transaction():
        conn.begin()
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the dialect's driver
    return driver
