"""Ask the same rules of rows outside the database: a file, or a batch as an outside system sent it.

DuckDB carries them out: the statements are those of the database, its few words that DuckDB lacks are
macros. What needs other tables (references, cross-table figures, statements) waits for the database.
"""

from __future__ import annotations

import glob
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.base import PGCompiler, PGTypeCompiler

from ocd.core.errors import ContractBroken
from ocd.quality import apart, duck, scan
from ocd.quality.cost import Standard, as_sql
from ocd.quality.look import Checked
from ocd.quality.policy import Outcome, Status, judged
from ocd.quality.rule import APART, Kind, Rule, Source
from ocd.quality.scan import View

if TYPE_CHECKING:
    import duckdb

#: Kinds that need other tables, or the words of PostgreSQL.
IN_DATABASE = frozenset({Kind.REFERENCE, Kind.CROSS_TABLE, Kind.SQL})
NEEDS_TABLES = "needs other tables: asked in the database only"

#: Types that DuckDB calls otherwise, or would cut to three decimals.
_TYPES = {"jsonb": "json", "numeric": "decimal(38, 10)", "": "varchar"}
#: Of a column that a rule names and the file has not.
_NO_COLUMN = re.compile(r'(?:Referenced column|have a column named) "(\w+)"')
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_MACROS = """
    set TimeZone = 'UTC';
    create macro btrim(one) as trim(one, ' ');
    create macro jsonb_typeof(one) as case json_type(one)
      when 'OBJECT' then 'object' when 'ARRAY' then 'array' when 'VARCHAR' then 'string'
      when 'BOOLEAN' then 'boolean' when 'NULL' then 'null' when null then null else 'number' end;
"""


class _Types(PGTypeCompiler):
    def visit_NUMERIC(self, type_: Any, **_: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        return "DOUBLE"  # of a decimal DuckDB would keep three places


class _Statements(PGCompiler):
    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **how: Any) -> str:
        """The whole value; a dot is any character, as in PostgreSQL."""
        value, pattern = self.process(binary.left, **how), self.process(binary.right, **how)
        return f"regexp_matches({value}, '(?s)' || {pattern})"

    def visit_octet_length_func(self, func: Any, **how: Any) -> str:
        return f"strlen{self.function_argspec(func, **how)}"


class _Duck(Standard):
    type_compiler_cls = _Types
    statement_compiler = _Statements
    supports_statement_cache = True


def ask_file(path: Path, rules: Sequence[Rule], *, now: datetime) -> Checked:
    """Ask the rules of one table of a Parquet, CSV, JSON-lines or JSON file.

    A CSV's first line names the columns; an empty value without quotes is none. Raises ConfigError for
    a file of another kind or that may not be read and for a missing package, ContractBroken for one that
    does not read as what it should be, or has no column of the table.
    """
    duck.require(path, _READERS)
    with duck.opened() as db, duck.reading(path.name, path.suffix):
        # A name is no pattern, whatever stands in it.
        given = _READERS[path.suffix](db, glob.escape(str(path)))
        return _ask(db, path.name, given, rules, now)


def ask_rows(
    rows: Sequence[Mapping[str, Any]] | Mapping[str, Any] | str,
    rules: Sequence[Rule],
    *,
    now: datetime,
) -> Checked:
    """Ask the rules of one table of a batch: mappings, or a JSON document that is an object or an array of them.

    A key that is missing or null is no value. Raises ContractBroken where the batch is anything else.
    """
    document = rows if isinstance(rows, str) else json.dumps(rows, default=str)
    with duck.opened() as db, duck.reading("the batch", ".json"):
        return _ask(db, "the batch", _document(db, document), rules, now)


@dataclass(frozen=True)
class _Given:
    """What was read: the names of its columns, none where there are no rows, and how one is said."""

    relation: str
    names: frozenset[str]
    is_documents: bool = False

    def value(self, name: str, kind: str) -> str:
        """Return a column as it was given, before it gets its type."""
        if not self.is_documents:
            return f'"{name}"'
        if kind == "json" or kind.endswith("[]"):
            return f"nullif(doc -> '{name}', 'null')"
        return f"(doc ->> '{name}')"


def _columns(db: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation) -> _Given:
    relation.create_view("given")
    return _Given("given", frozenset(relation.columns))


def _document(db: duckdb.DuckDBPyConnection, document: str) -> _Given:
    """Keep a document's objects as rows."""
    db.execute(
        "create table given as select unnest(case json_type($1) when 'ARRAY' "
        "then cast($1 as json[]) else [cast($1 as json)] end) as doc",
        [document],
    )
    return _objects(db)


def _objects(db: duckdb.DuckDBPyConnection) -> _Given:
    if db.execute("select count(*) from given where json_type(doc) <> 'OBJECT'").fetchall()[0][0]:
        raise ContractBroken("expected one JSON object, or objects only")
    found = db.execute("select distinct unnest(json_keys(doc)) from given").fetchall()
    return _Given("given", frozenset(name for (name,) in found), is_documents=True)


def _parsed(db: duckdb.DuckDBPyConnection, name: str, shape: str) -> _Given:
    """Read a file's objects, as often as they are asked for: nothing is held."""
    db.from_query(
        "select json as doc from read_json_objects($1, format = $2)", params=[name, shape]
    ).create_view("given")
    return _objects(db)


_READERS: Mapping[str, Callable[[duckdb.DuckDBPyConnection, str], _Given]] = {
    ".parquet": lambda db, name: _columns(db, db.read_parquet(name)),
    ".csv": lambda db, name: _columns(
        db,
        db.read_csv(name, all_varchar=True, na_values="", allow_quoted_nulls=False, **duck.CSV),
    ),
    ".jsonl": lambda db, name: _parsed(db, name, "newline_delimited"),
    ".json": lambda db, name: _parsed(db, name, "auto"),
}


def _ask(
    db: duckdb.DuckDBPyConnection, name: str, given: _Given, rules: Sequence[Rule], now: datetime
) -> Checked:
    """Ask what can be asked in one scan, the rest apart; rules keep their order by kind of asking."""
    source = rules[0].source
    if given.names and not given.names & source.columns.keys():
        raise ContractBroken(f"{name}: none of the columns of {source.name} is in it")
    db.execute(_MACROS)
    unfit = _typed(db, source, given)
    view = View(now)
    here = [one for one in rules if one.kind not in IN_DATABASE]
    outcomes = _scanned(db, source, [one for one in here if one.kind not in APART], view)
    outcomes += [_unique(db, one, view) for one in here if one.kind is Kind.UNIQUE]
    outcomes += [_schema(one, unfit) for one in here if one.kind is Kind.SCHEMA]
    outcomes += [
        Outcome(one, Status.WAITING, detail=NEEDS_TABLES) for one in rules if one not in here
    ]
    rows = db.execute("select count(*) from given").fetchall()[0][0]
    return Checked(source.name, tuple(outcomes), rows)


def _typed(db: duckdb.DuckDBPyConnection, source: Source, given: _Given) -> list[str]:
    """Make the table that the rules name, with the types of the facts; returns which columns do not fit.

    A value that is not of its column's type is none there. Without a key, rows are numbered from 1.
    """
    types = {name: _TYPES.get(kind, kind) for name, (kind, _) in source.columns.items()}
    types = {source.key: "bigint"} | types
    there = {name: kind for name, kind in types.items() if name in given.names or not given.names}
    cast = {name: _cast(given.value(name, kind), kind) for name, kind in there.items()}
    if not given.names:
        cast = {name: f"cast(null as {kind})" for name, kind in there.items()}
    found = {"row_number() over ()": source.key} if source.key not in given.names else {}
    columns = [f'{said} as "{name}"' for name, said in cast.items() if name not in found.values()]
    columns += [f'{said} as "{name}"' for said, name in found.items()]
    db.execute(f'create schema if not exists "{source.schema}"')
    table = f'"{source.schema}"."{source.relation}"'
    db.execute(f"create view {table} as select {', '.join(columns)} from {given.relation}")  # noqa: S608 - names of our facts
    return sorted({*types} - {*there} - {source.key}) + _misfits(db, given, there, cast)


def _cast(value: str, kind: str) -> str:
    said = f"try_cast({value} as {kind})"
    if kind not in _INTEGERS:
        return said
    return f"case when try_cast({value} as double) = {said} then {said} end"  # 2.5 is not 3


def _misfits(
    db: duckdb.DuckDBPyConnection,
    given: _Given,
    types: Mapping[str, str],
    cast: Mapping[str, str],
) -> list[str]:
    """Return the columns with values of another type, in one scan; this reads the whole file once."""
    names = [name for name in types if name in given.names]
    counts = [
        f"count(*) filter (where {given.value(name, types[name])} is not null and {cast[name]} is null)"
        for name in names
    ]
    asked = f"select {', '.join(['count(*)', *counts])} from {given.relation}"  # noqa: S608 - names of our facts
    _, *found = db.execute(asked).fetchall()[0]
    return sorted(name for name, count in zip(names, found, strict=True) if count)


def _scanned(
    db: duckdb.DuckDBPyConnection, source: Source, rules: Sequence[Rule], view: View
) -> list[Outcome]:
    """Ask all in one scan; where that is refused, each alone, so that only the broken ones are lost."""
    if not rules:
        return []
    started = time.monotonic()
    try:
        cursor = db.execute(_sql(scan.statement_of(source, rules, view), view))
        names = [one[0] for one in cursor.description or ()]
        row = dict(zip(names, cursor.fetchall()[0], strict=True))
    except duck.package().Error as error:
        if len(rules) == 1:
            return [_broken(rules[0], error)]
        return [one for rule in rules for one in _scanned(db, source, [rule], view)]
    took_s = time.monotonic() - started
    found = [scan.outcome(rule, number, row, took_s, view) for number, rule in enumerate(rules)]
    return [_with_keys(db, one, view) for one in found]


def _sql(statement: Any, view: View) -> str:
    return as_sql(statement, view.now, _Duck())  # type: ignore[no-untyped-call]


def _broken(rule: Rule, error: Exception) -> Outcome:
    """Name the missing column, which the rule names itself, or the kind of fault only: the rest may quote a value."""
    missing = _NO_COLUMN.search(str(error))
    kind = type(error).__name__.removesuffix("Exception").lower()
    detail = (
        f"it has no column {missing[1]}" if missing else f"DuckDB could not ask this ({kind} error)"
    )
    return Outcome(rule, Status.BROKEN, detail=detail)


def _with_keys(db: duckdb.DuckDBPyConnection, one: Outcome, view: View) -> Outcome:
    if not one.failed or one.rule.is_of_table:
        return one
    keys = db.execute(_sql(scan.sample_of(one.rule.source, one.rule, view), view)).fetchall()
    return replace(one, keys=tuple(key for (key,) in keys if key is not None))


def _unique(db: duckdb.DuckDBPyConnection, rule: Rule, view: View) -> Outcome:
    try:
        failed, keys = db.execute(_sql(apart.unique_of(rule), view)).fetchall()[0]
    except duck.package().Error as error:
        return _broken(rule, error)
    rows = db.execute("select count(*) from given").fetchall()[0][0]
    return Outcome(
        rule,
        judged(rule, rows=rows, failed=failed),
        rows,
        failed,
        keys=tuple(key for key in keys if key is not None),
    )


def _schema(rule: Rule, unfit: Sequence[str]) -> Outcome:
    detail = f"columns that differ: {', '.join(unfit)}" if unfit else None
    status = judged(rule, rows=1, failed=len(unfit))
    return Outcome(rule, status, failed=len(unfit), detail=detail)
