"""Ask what no scan of the table answers: uniqueness, the schema, and rules written as a statement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Engine,
    Select,
    and_,
    any_,
    cast,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.sql.expression import TextClause

from ocd.core.db import redacted
from ocd.core.errors import SourceUnavailable
from ocd.core.sqlfiles import statement
from ocd.quality import conditions
from ocd.quality.policy import Outcome, Status, judged
from ocd.quality.rule import Kind, Rule
from ocd.quality.scan import SAMPLE_KEYS, View, broken_by

_COLUMNS = statement(__file__, "list_columns.sql")
#: A rule written as a statement may take so long.
STATEMENT_TIMEOUT = "60s"
#: With more repeated hashes than this, all rows are grouped.
SUSPECTS = 10_000
_SORTS_AT_ONCE = text("""
    select set_config('enable_hashagg', 'off', true), set_config('parallel_setup_cost', '0', true),
           set_config('parallel_tuple_cost', '0', true)
""")


@dataclass(frozen=True)
class Reader:
    """The read-only login, and the snapshot that the check looks at."""

    engine: Engine
    snapshot: str
    timeout: str = STATEMENT_TIMEOUT


def ask(
    conn: Connection, rule: Rule, view: View, reader: Reader | None, *, rows: int
) -> tuple[Outcome, int]:
    """Ask one rule of a table with so many rows; returns what came of it and how many statements that took.

    A rule that the database will not carry out is broken, under its own name.
    """
    started = time.monotonic()
    try:
        if rule.kind is Kind.SQL:
            outcome, statements = _custom(rule, view, reader)
        else:
            with conn.begin_nested():
                outcome, statements = _ASK[rule.kind](conn, rule, view)
    except DBAPIError as error:
        # A statement that ran into its timeout is the rule's fault; a server that is away is nobody's.
        if rule.kind is not Kind.SQL and isinstance(redacted(error), SourceUnavailable):
            raise
        outcome, statements = broken_by(rule, error), 1
    if outcome.status is not Status.BROKEN:
        asked = 1 if rule.is_of_table else rows
        outcome = replace(
            outcome, rows=rows, status=judged(rule, rows=asked, failed=outcome.failed)
        )
    return replace(outcome, took_s=time.monotonic() - started), statements


def _unique(conn: Connection, rule: Rule, view: View) -> tuple[Outcome, int]:
    """Look for hashes that are repeated, which the server does at once with several workers; then at their rows only.

    Grouping the values themselves takes about twice as long, and memory for each of them.
    """
    suspects = _suspects(conn, rule, view)
    if suspects == []:
        return Outcome(rule, Status.PASSED, failed=0), 1
    failed, keys = conn.execute(unique_of(rule, suspects), {"now": view.now}).one()
    return Outcome(rule, Status.PASSED, failed=failed, keys=tuple(keys)), 2


def _suspects(conn: Connection, rule: Rule, view: View) -> list[int] | None:
    """Return the hashes that several rows have; None where there are too many, or a type has no hash."""
    rows = conditions.table_of(rule.source)
    hashed = _hash(rule, rows).label("hash")
    query = (
        select(hashed)
        .select_from(rows)
        .where(_whole(rule, rows))
        .group_by(hashed)
        .having(func.count() > 1)
        .limit(SUSPECTS + 1)
    )
    trial = conn.begin_nested()
    try:
        conn.execute(_SORTS_AT_ONCE)
        found = [int(one) for one in conn.execute(query, {"now": view.now}).scalars()]
    except ProgrammingError:
        return None
    finally:
        trial.rollback()  # the settings go with it
    return found if len(found) <= SUSPECTS else None


def _hash(rule: Rule, rows: Any) -> Any:
    return func.hash_record_extended(func.row(*(rows.c[one] for one in rule.columns)), 0)


def unique_of(rule: Rule, suspects: list[int] | None = None) -> Select[Any, Any]:
    """Return the statement that counts the rows that repeat an earlier one, of all or of those with such a hash.

    A row with nothing in one of the columns equals no other. The key of the last row of a value that is
    repeated comes along: to number the rows would cost a sort of the table.
    """
    rows = conditions.table_of(rule.source)
    is_suspect = (
        []
        if suspects is None
        else [_hash(rule, rows) == any_(literal(suspects, ARRAY(BigInteger)))]
    )
    repeated = (
        select(func.count().label("n"), func.max(rows.c[rule.source.key]).label("last"))
        .select_from(rows)
        .where(_whole(rule, rows), *is_suspect)
        .group_by(*(rows.c[one] for one in rule.columns))
        .having(func.count() > 1)
        .cte("repeated")
    )
    again = cast(func.coalesce(func.sum(repeated.c.n - 1), 0), BigInteger)
    last = select(repeated.c.last).order_by(repeated.c.last).limit(SAMPLE_KEYS)
    return select(again, func.array(last.scalar_subquery(), type_=ARRAY(BigInteger)))


def _whole(rule: Rule, rows: Any) -> Any:
    given = [rows.c[one].is_not(None) for one in rule.columns]
    return and_(*given, *([text(f"({rule.filter})")] if rule.filter else []))


def _schema(conn: Connection, rule: Rule, view: View) -> tuple[Outcome, int]:
    """Compare the live columns with the facts; names, types and nullability, in whatever order."""
    live = {
        one.name: (one.type, one.nullable)
        for one in conn.execute(_COLUMNS, {"table": rule.source.table})
    }
    said = rule.source.columns
    wrong = sorted(name for name in {*live, *said} if live.get(name) != said.get(name))
    detail = f"columns that differ: {', '.join(wrong)}" if wrong else None
    return Outcome(rule, Status.PASSED, failed=len(wrong), detail=detail), 1


_ASK: Mapping[Kind, Callable[[Connection, Rule, View], tuple[Outcome, int]]] = {
    Kind.UNIQUE: _unique,
    Kind.SCHEMA: _schema,
}


def _custom(rule: Rule, view: View, reader: Reader | None) -> tuple[Outcome, int]:
    """Run a rule's own statement as the read-only login, on the check's snapshot, up to a timeout."""
    if reader is None:
        return Outcome(rule, Status.BROKEN, detail="there is no read-only login to ask with"), 0
    with reader.engine.connect() as conn:
        conn.execute(text("set transaction isolation level repeatable read read only"))
        conn.execute(text(f"set transaction snapshot '{reader.snapshot}'"))
        conn.execute(select(func.set_config("statement_timeout", reader.timeout, True)))
        failed, keys = conn.execute(custom_of(rule), _bound(rule, view)).one()
        conn.rollback()
    return Outcome(rule, Status.PASSED, failed=failed, keys=tuple(keys)), 1


def _bound(rule: Rule, view: View) -> dict[str, Any]:
    return {"now": view.now} if ":now" in rule.params["statement"] else {}


def custom_of(rule: Rule) -> TextClause:
    """Wrap a rule's statement so that only a count and numbers of rows can come back, whatever it selects."""
    body = rule.params["statement"].rstrip().removesuffix(";")
    return conditions.sql(f"""
        with failing (key) as materialized (
        {body}
        )
        select (select count(*) from failing),
               array(select cast(key as bigint) from failing order by 1 limit {SAMPLE_KEYS})
    """)  # noqa: S608 - a constant of ours, one file each
