"""Profile a table: one aggregate scan, and what PostgreSQL's own statistics know already."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Double,
    cast,
    column,
    func,
    select,
    table,
    text,
)

from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Column, Dataset
from ocd.quality.profile.columns import (
    ColumnProfile,
    Kind,
    TableProfile,
    is_identifier,
    is_open,
    kind_of,
    known,
)

_STATISTICS = statement(__file__, "list_statistics.sql")

Aggregates = dict[str, ColumnElement[Any]]


def measure(conn: Connection, dataset: Dataset, *, now: datetime) -> TableProfile:
    """Return the profile of a table in the transaction of `conn`; reads the table once.

    How many distinct values there are and where they lie is as of the last ANALYZE, which the server
    does by itself; all other figures are exact.
    """
    # A login that row security would filter gets an error, not the profile of some rows.
    conn.execute(text("set local row_security = off"))
    opened = [one.name for one in dataset.columns if is_open(one)]
    statistics = {
        row.name: row for row in conn.execute(_STATISTICS, {"table": dataset.table, "open": opened})
    }
    asked: Aggregates = {}
    for number, one in enumerate(dataset.columns):
        for name, aggregate in _aggregates(one, statistics.get(one.name)).items():
            asked[f"c{number}_{name}"] = aggregate
    source = table(dataset.relation, schema=dataset.schema)
    columns = [aggregate.label(name) for name, aggregate in asked.items()]
    query = select(func.count().label("n"), *columns).select_from(source)
    found = dict(conn.execute(query).mappings().one())
    profiles = tuple(
        _profile(dataset, one, found, f"c{number}_", statistics.get(one.name))
        for number, one in enumerate(dataset.columns)
    )
    return TableProfile(dataset.name, found["n"], profiles, now)


def _aggregates(one: Column, statistics: Any) -> Aggregates:
    """Return what the scan asks of a column: nothing that a constraint or the statistics know."""
    values: ColumnElement[Any] = column(one.name)
    asked: Aggregates = {}
    if statistics is None or not statistics.is_required:
        asked["present"] = func.count(values)
    kind = kind_of(one.type)
    if kind is Kind.TEXT:
        # Bytes, because their number stands beside the value: nothing is unpacked to count it.
        size = func.octet_length(values)
        asked |= {
            "least": func.min(size),
            "most": func.max(size),
            "mean": func.avg(cast(size, Double)),
        }
    elif is_open(one):
        asked |= _of_kind(kind, values)
    return asked


def _of_kind(kind: Kind, values: ColumnElement[Any]) -> Aggregates:
    if kind is Kind.FLAG:
        return {"true": func.count().filter(cast(values, Boolean))}
    ends: Aggregates = {"min": func.min(values), "max": func.max(values)}
    if kind is Kind.INSTANT:
        return ends
    number = cast(values, Double)
    return ends | {"mean": func.avg(number), "sd": func.stddev_samp(number)}


def _profile(
    dataset: Dataset, one: Column, found: Mapping[str, Any], prefix: str, statistics: Any
) -> ColumnProfile:
    own = {
        name.removeprefix(prefix): value
        for name, value in found.items()
        if name.startswith(prefix) and value is not None
    }
    rows = found["n"]
    nulls = rows - own.pop("present", rows)
    kind = kind_of(one.type)
    stats = {f"bytes_{name}" if kind is Kind.TEXT else name: _plain(own[name]) for name in own}
    if statistics is not None:
        stats |= known(
            one,
            rows=rows,
            nulls=nulls,
            distinct_values=statistics.distinct_values,
            common=statistics.common,
            shares=statistics.shares,
            bounds=statistics.bounds,
        )
        if is_identifier(dataset, one, statistics.distinct_values):
            stats = {name: stats[name] for name in stats if name not in {"points", "edges"}}
    return ColumnProfile(one.name, kind, rows, nulls, stats)


def _plain(value: Any) -> Any:
    """Return the value as JSON knows it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, int) else float(value)
