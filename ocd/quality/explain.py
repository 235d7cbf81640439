"""Show how rules are asked: which statement, and what the planner thinks it costs. Nothing is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement

from ocd.core.db import redacted
from ocd.quality import apart, conditions, cost, results
from ocd.quality.policy import Plan, plan
from ocd.quality.rule import Kind, Rule
from ocd.quality.scan import View, statement_of


@dataclass(frozen=True)
class Explained:
    """How one rule is asked: in the table's scan, apart or not at all; `cost` is of it alone.

    A cost is in the planner's units; None where the planner refuses, and `refusal` says why.
    """

    rule: str
    how: str
    sql: str
    cost: float | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class ExplainedTable:
    """One table: its one statement, the planner's cost of it, and its rules."""

    dataset: str
    sql: str
    cost: float | None
    rules: tuple[Explained, ...]


def explain(conn: Connection, rules: Iterable[Rule], *, now: datetime) -> list[ExplainedTable]:
    """Return, per table, the statements and their cost; leaves no transaction open."""
    conn.rollback()
    conn.execute(text("set transaction read only"))
    view = View(now, results.proofs(conn))
    found = [_table(conn, one, view) for one in plan(rules, view.proofs)]
    conn.rollback()
    return found


def _table(conn: Connection, one: Plan, view: View) -> ExplainedTable:
    rules = [Explained(rule.id, "proven by a constraint", "") for rule in one.proven]
    rules += [_in_scan(conn, rule, view) for rule in one.scan]
    rules += [_apart(conn, rule, view) for rule in one.apart]
    if not one.scan:
        return ExplainedTable(one.source.name, "", None, tuple(rules))
    whole = statement_of(one.source, one.scan, view)
    total, _ = _cost(conn, whole, view)
    return ExplainedTable(one.source.name, cost.as_sql(whole, view.now), total, tuple(rules))


def _in_scan(conn: Connection, rule: Rule, view: View) -> Explained:
    alone, refusal = _cost(conn, statement_of(rule.source, [rule], view), view)
    return Explained(rule.id, "in the scan", _condition(rule, view), alone, refusal)


def _condition(rule: Rule, view: View) -> str:
    rows = conditions.table_of(rule.source)
    if rule.is_of_table:
        return cost.as_sql(conditions.measured(rule, rows).value, view.now)
    return cost.as_sql(conditions.failing(rule, rows), view.now)


def _apart(conn: Connection, rule: Rule, view: View) -> Explained:
    if rule.kind is Kind.SCHEMA:
        return Explained(rule.id, "from the catalog", "", 0.0)
    statement = apart.unique_of(rule) if rule.kind is Kind.UNIQUE else apart.custom_of(rule)
    alone, refusal = _cost(conn, statement, view)
    return Explained(rule.id, "on its own", cost.as_sql(statement, view.now), alone, refusal)


def _cost(
    conn: Connection, statement: ClauseElement, view: View
) -> tuple[float | None, str | None]:
    try:
        with conn.begin_nested():
            return cost.of_statement(conn, statement, view), None
    except DBAPIError as error:
        return None, redacted(error).message
