"""Ask all rules of a table in one scan; look again for keys, only where something failed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, case, func, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import TableClause

from ocd.core.db import redacted
from ocd.core.errors import SourceUnavailable
from ocd.quality import conditions
from ocd.quality.conditions import Condition
from ocd.quality.policy import Outcome, Proofs, Status, judged
from ocd.quality.rule import Kind, Rule, Source

#: Keys of failing rows that are kept per rule.
SAMPLE_KEYS = 20
#: Rules with no more failing rows than this share one second look; for the others, a first part of the
#: table has enough keys.
FEW = 50


@dataclass(frozen=True)
class View:
    """What of a table is looked at: as of when, with what is proven, and whether only rows above a key."""

    now: datetime
    proofs: Proofs = field(default_factory=Proofs)
    above: int | None = None


@dataclass(frozen=True)
class Scanned:
    """One table: rows that were looked at, the highest key, statements that it took, what came of it."""

    rows: int
    high_key: int | None
    statements: int
    outcomes: tuple[Outcome, ...]


def scan(conn: Connection, source: Source, rules: Sequence[Rule], view: View) -> Scanned:
    """Count the failing rows of every rule in one statement, then fetch keys for the rules that fail.

    A rule that cannot be carried out is found by halving, and does not take the others with it.
    Commits nothing; the caller holds the snapshot.
    """
    started = time.monotonic()
    try:
        with conn.begin_nested():
            answers = conn.execute(statement_of(source, rules, view), {"now": view.now})
            row = answers.mappings().one()
    except DBAPIError as error:
        return _without_the_broken(conn, source, rules, view, error)
    took_s = time.monotonic() - started
    found = [outcome(rule, number, row, took_s, view) for number, rule in enumerate(rules)]
    kept, statements = _with_keys(conn, source, found, view)
    return Scanned(row["n"], row["high_key"], 1 + statements, tuple(kept))


def _without_the_broken(
    conn: Connection, source: Source, rules: Sequence[Rule], view: View, error: DBAPIError
) -> Scanned:
    if isinstance(redacted(error), SourceUnavailable):
        raise error
    if len(rules) <= 1:
        broken = tuple(broken_by(rule, error) for rule in rules)
        return Scanned(0, None, 1, broken)
    middle = len(rules) // 2
    first = scan(conn, source, rules[:middle], view)
    second = scan(conn, source, rules[middle:], view)
    whole = first if first.high_key is not None else second
    return Scanned(
        max(first.rows, second.rows),
        whole.high_key,
        1 + first.statements + second.statements,
        first.outcomes + second.outcomes,
    )


def broken_by(rule: Rule, error: DBAPIError) -> Outcome:
    """Return the outcome of a rule that the database would not carry out; no value of a row is told."""
    return Outcome(rule, Status.BROKEN, detail=redacted(error).message)


def statement_of(source: Source, rules: Sequence[Rule], view: View) -> Select[Any]:
    """Return the one statement: rows, highest key, and per rule what failed or was measured."""
    rows = conditions.table_of(source)
    found = [func.count().label("n"), func.max(rows.c[source.key]).label("high_key")]
    for number, rule in enumerate(rules):
        found += _answers(rule, number, rows)
    query = select(*found).select_from(_joined(rows, rules, view.proofs))
    return query if view.above is None else query.where(rows.c[source.key] > view.above)


def _answers(rule: Rule, number: int, rows: TableClause) -> list[Any]:
    asked = [conditions.rows_asked(rule).label(f"n{number}")] if rule.filter else []
    if rule.is_of_table:
        measured = conditions.measured(rule, rows)
        failed: ColumnElement[int] = case((measured.is_bad, 1), else_=0)
        return [*asked, measured.value.label(f"v{number}"), failed.label(f"r{number}")]
    count = func.count().filter(conditions.failing(rule, rows))
    return [*asked, count.label(f"r{number}")]


def _joined(rows: TableClause, rules: Sequence[Rule], proofs: Proofs) -> FromClause:
    """Join what references point at; a parent whose keys are unique adds no row."""
    joined: FromClause = rows
    for rule in rules:
        if rule.kind is Kind.REFERENCE:
            is_unique = proofs.is_unique(rule.params["table"], rule.params["to"])
            joined = conditions.with_parent(rule, rows, joined, is_unique=is_unique)
    return joined


def outcome(rule: Rule, number: int, row: Mapping[Any, Any], took_s: float, view: View) -> Outcome:
    """Return what the scan's row says of one of its rules, by its number."""
    rows = row[f"n{number}"] if rule.filter else row["n"]
    failed = row[f"r{number}"]
    value = row.get(f"v{number}")
    return Outcome(
        rule,
        judged(rule, rows=1 if rule.is_of_table else rows, failed=failed),
        rows,
        failed,
        None if value is None else float(value),
        took_s=took_s,
        is_only_new=view.above is not None,
    )


def _with_keys(
    conn: Connection, source: Source, found: Sequence[Outcome], view: View
) -> tuple[list[Outcome], int]:
    """Add keys of some failing rows; returns also how many statements that took."""
    failed = [one for one in found if one.failed and not one.rule.is_of_table]
    few = [one.rule for one in failed if one.failed <= FEW]
    many = [one.rule for one in failed if one.failed > FEW]
    keys = _keys_of_few(conn, source, few, view) if len(few) > 1 else {}
    many += few if len(few) == 1 else []
    for rule in many:
        keys[rule.id] = tuple(
            conn.execute(sample_of(source, rule, view), {"now": view.now}).scalars()
        )
    kept = [replace(one, keys=keys.get(one.rule.id, ())) for one in found]
    return kept, len(many) + (len(few) > 1)


def sample_of(source: Source, rule: Rule, view: View) -> Select[Any]:
    """Return the statement that finds keys of some rows that fail one rule, and then stops.

    The rows are not asked for in order: to find the first ones, the planner would often read them all.
    """
    rows = conditions.table_of(source)
    query = select(rows.c[source.key]).select_from(_joined(rows, [rule], view.proofs))
    query = query.where(conditions.failing(rule, rows))
    if view.above is not None:
        query = query.where(rows.c[source.key] > view.above)
    found = query.limit(SAMPLE_KEYS).subquery("found")
    return select(found.c[source.key]).order_by(found.c[source.key])


def _keys_of_few(
    conn: Connection, source: Source, rules: Sequence[Rule], view: View
) -> dict[str, tuple[int, ...]]:
    """Find the keys of several rules with few failing rows in one more scan."""
    rows = conditions.table_of(source)
    fails: list[Condition] = [conditions.failing(rule, rows) for rule in rules]
    marks = [case((one, True), else_=False).label(f"f{number}") for number, one in enumerate(fails)]
    query = select(rows.c[source.key], *marks).select_from(_joined(rows, rules, view.proofs))
    query = query.where(or_(*fails))
    if view.above is not None:
        query = query.where(rows.c[source.key] > view.above)
    keys: dict[str, list[int]] = {rule.id: [] for rule in rules}
    for key, *failed in conn.execute(query.order_by(rows.c[source.key]), {"now": view.now}):
        for rule, is_failing in zip(rules, failed, strict=True):
            if is_failing and len(keys[rule.id]) < SAMPLE_KEYS:
                keys[rule.id].append(key)
    return {name: tuple(found) for name, found in keys.items()}
