"""Say a rule in SQL: which rows fail it, or what is measured of the table and between which bounds.

Three-valued logic is said once, here: a row fails where its condition is FALSE; UNKNOWN passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Numeric,
    and_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
    true,
)
from sqlalchemy import distinct as distinct_of
from sqlalchemy.sql.expression import TableClause, TextClause

from ocd.quality.expressions import EXPRESSIONS
from ocd.quality.rule import Kind, Rule, Source

#: What a statement may be filtered by.
Condition = ColumnElement[bool] | TextClause


#: Of a character in any encoding of the server.
MAX_CHARACTER_BYTES = 4

#: The instant that the check looks at, in rules' texts `:now`.
NOW = bindparam("now", type_=DateTime(timezone=True))


def sql(constant: str) -> TextClause:
    """Return a rule's text as SQL."""
    found = text(constant)
    return found.bindparams(NOW) if ":now" in constant else found


def table_of(source: Source, extra: tuple[str, ...] = ()) -> TableClause:
    """Return the table with every column that rules may name."""
    names = {source.key, *source.columns, *extra}
    return table(source.relation, *map(column, sorted(names)), schema=source.schema)


def failing(rule: Rule, rows: FromClause) -> Condition:
    """Return the condition of rows that fail a rule about rows, its filter included."""
    if rule.kind is Kind.REFERENCE:
        found: Condition = orphan(rule, rows)
    elif rule.kind is Kind.CONDITION:
        found = sql(f"(({rule.params['expression']}) is false)")
    else:
        found = _GOOD[rule.kind](rule, rows).is_(false())
    return found if rule.filter is None else and_(sql(f"({rule.filter})"), found)


def _value(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    return rows.c[rule.columns[0]]


def _not_null(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    return _value(rule, rows).is_not(None)


def _filled(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    """There and not blank; COALESCE, since what is missing must fail here."""
    return func.coalesce(func.btrim(_value(rule, rows)), literal_column("''")) != literal_column(
        "''"
    )


def _range(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    return _between(_value(rule, rows), rule.params)


def _between(value: ColumnElement[Any], params: Mapping[str, Any]) -> ColumnElement[Any]:
    low, high = params.get("min"), params.get("max")
    parts = [value >= _bound(low)] if low is not None else []
    parts += [value <= _bound(high)] if high is not None else []
    return and_(*parts)


def _bound(value: Any) -> ColumnElement[Any]:
    """A number as itself; a text is an SQL expression, such as an instant."""
    return sql(f"({value})") if isinstance(value, str) else literal(value)  # type: ignore[return-value]


def _set(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    return _value(rule, rows).in_(rule.params["values"])


def _regex(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    """The whole value matches."""
    return _value(rule, rows).regexp_match(f"^(?:{rule.params['pattern']})$")


def _length(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    """Bytes are known without reading the text; characters are counted only where bytes do not tell."""
    value, low, high = _value(rule, rows), rule.params.get("min", 0), rule.params.get("max")
    surely = {"min": MAX_CHARACTER_BYTES * low, "max": high}
    return case(
        (_between(func.octet_length(value), surely), true()),
        else_=_between(func.length(value), rule.params),
    )


def _python(rule: Rule, rows: FromClause) -> ColumnElement[Any]:
    return EXPRESSIONS[rule.params["expression"]](rows, **rule.params["arguments"])


_GOOD: Mapping[Kind, Callable[[Rule, FromClause], ColumnElement[Any]]] = {
    Kind.NOT_NULL: _not_null,
    Kind.FILLED: _filled,
    Kind.RANGE: _range,
    Kind.SET: _set,
    Kind.REGEX: _regex,
    Kind.LENGTH: _length,
    Kind.PYTHON: _python,
}


def parent_alias(rule: Rule) -> str:
    """Return the name under which a rule's referenced table stands in the scan."""
    return f"parent_{rule.version}"


def with_parent(
    rule: Rule, rows: TableClause, joined: FromClause, *, is_unique: bool
) -> FromClause:
    """Join the table that a reference points at, under names that no text of a rule can mean.

    A parent whose keys are not known to be unique is made so first, else the join would count rows twice.
    """
    params = rule.params
    alias = parent_alias(rule)
    schema, _, relation = params["table"].partition(".")
    parent = table(relation, *map(column, params["to"]), schema=schema)
    names = [f"{alias}_{number}" for number, _ in enumerate(params["to"])]
    keys = select(
        *(parent.c[one].label(name) for one, name in zip(params["to"], names, strict=True))
    )
    found = (keys if is_unique else keys.distinct()).subquery(alias)
    matches = [
        rows.c[child] == found.c[name] for child, name in zip(rule.columns, names, strict=True)
    ]
    return joined.outerjoin(found, and_(*matches))


def orphan(rule: Rule, rows: FromClause) -> ColumnElement[bool]:
    """Every column of the reference is there, and no row that it points at."""
    given = [rows.c[one].is_not(None) for one in rule.columns]
    return and_(*given, column(f"{parent_alias(rule)}_0").is_(None))


@dataclass(frozen=True)
class Measured:
    """A number of a table, and the condition under which it is fine; one without a value is fine."""

    value: ColumnElement[Any]
    is_bad: Condition


def measured(rule: Rule, rows: FromClause) -> Measured:
    """Return what a rule about the table measures; its filter is applied."""
    return _MEASURES[rule.kind](rule, rows)


def rows_asked(rule: Rule) -> ColumnElement[int]:
    """Count the rows that the rule's filter lets through."""
    count: ColumnElement[int] = _only(func.count(), rule)
    return count


def _only(aggregate: Any, rule: Rule) -> Any:
    return aggregate if rule.filter is None else aggregate.filter(sql(f"({rule.filter})"))


def _freshness(rule: Rule, rows: FromClause) -> Measured:
    """Age of the newest row, in seconds; none without rows."""
    newest = _only(func.max(_value(rule, rows)), rule)
    age = cast(func.date_part(literal_column("'epoch'"), NOW - newest), Numeric)
    return Measured(age, age >= literal(rule.params["within_s"]))


def _volume(rule: Rule, rows: FromClause) -> Measured:
    value = rows_asked(rule)
    return Measured(value, _between(value, rule.params).is_(false()))


def _distribution(rule: Rule, rows: FromClause) -> Measured:
    value = cast(_STATISTICS[rule.params["measure"]](rule, rows), Numeric)
    return Measured(value, _between(value, rule.params).is_(false()))


def _share(rule: Rule, part: str, whole: str) -> Any:
    """Counts, not a mean of ones and zeros: numeric arithmetic on every row is dear."""
    mine = [f"({part})", f"({rule.filter})"] if rule.filter else [f"({part})"]
    all_ = [f"({whole})", f"({rule.filter})"] if rule.filter else [f"({whole})"]
    counted = [func.count().filter(sql(" and ".join(one))) for one in (mine, all_)]
    return cast(counted[0], Numeric) / func.nullif(counted[1], literal_column("0"))


def _share_where(rule: Rule, rows: FromClause) -> Any:
    condition = rule.params["where"]
    return _share(rule, condition, f"({condition}) is not null")


def _null_share(rule: Rule, rows: FromClause) -> Any:
    return _share(rule, f"{rule.columns[0]} is null", "true")


_STATISTICS: Mapping[str, Callable[[Rule, FromClause], Any]] = {
    "mean": lambda rule, rows: _only(func.avg(_value(rule, rows)), rule),
    "stddev": lambda rule, rows: _only(func.stddev_samp(_value(rule, rows)), rule),
    "distinct": lambda rule, rows: _only(func.count(distinct_of(_value(rule, rows))), rule),
    "null_share": _null_share,
    "share": _share_where,
}
#: What a distribution may measure.
STATISTICS = tuple(_STATISTICS)


def _cross_table(rule: Rule, rows: FromClause) -> Measured:
    """The difference of a number of this table and one of another; nothing counts as 0."""
    params = rule.params
    mine = params["measure"]
    if rule.filter is not None:
        mine += f" filter (where {rule.filter})"
    other = f"(select {params['equals']} from {params['table']})"  # noqa: S608 - constants of a rule
    difference: ColumnElement[Any] = func.coalesce(
        literal_column(mine), literal_column("0")
    ) - func.coalesce(literal_column(other), literal_column("0"))
    return Measured(
        cast(difference, Numeric), func.abs(difference) > literal(params.get("difference", 0))
    )


_MEASURES: Mapping[Kind, Callable[[Rule, FromClause], Measured]] = {
    Kind.FRESHNESS: _freshness,
    Kind.VOLUME: _volume,
    Kind.DISTRIBUTION: _distribution,
    Kind.CROSS_TABLE: _cross_table,
}
