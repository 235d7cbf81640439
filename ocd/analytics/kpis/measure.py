"""Compute every nightly figure of a period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from ocd.analytics.kpis.compiler import Cut, compile_query
from ocd.analytics.kpis.policy import LEVELS, Number, level_of, reason_of
from ocd.analytics.kpis.spec import Kpi, Metric, Specs


@dataclass(frozen=True)
class Figure:
    """A KPI's value for a scope, or the reason why there is none, and how it came about.

    `level`: ok, warn or crit; None without a value or thresholds. `is_snapshot`: about how things
    stand now.
    """

    metric: str
    scope: str
    value: Number | None
    unit: str
    inputs: Mapping[str, Number | None]
    reason: str | None
    level: str | None
    spec: Mapping[str, Any] = field(default_factory=dict)
    is_snapshot: bool = False


def measure(conn: Connection, specs: Specs, *, start: datetime, end: datetime) -> list[Figure]:
    """Return every KPI over [start, end), with a figure per scope and the total, scope ''.

    Days before `end` are those of the session's time zone. Reads only; each model's rows once per
    scope.
    """
    found: list[Figure] = []
    for (scope, has_total), kpis in _together(specs):
        inputs = [name for _, kpi in kpis for name in kpi.inputs]
        names = list(dict.fromkeys([*(metric.name for metric, _ in kpis), *inputs]))
        cut = Cut((scope,), has_total=has_total) if scope else Cut()
        statement = compile_query(specs, names, cut)
        for row in conn.execute(statement, {"start": start, "end": end}).mappings():
            place = row[scope] if scope else ""
            found += [
                one for metric, kpi in kpis for one in _figures(metric, kpi, place, dict(row))
            ]
    return found


def _together(specs: Specs) -> Iterator[tuple[tuple[str | None, bool], list[tuple[Metric, Kpi]]]]:
    """The KPIs that one statement can compute: of one model, split in the same way."""

    def key(one: tuple[Metric, Kpi]) -> tuple[str, str, bool]:
        metric, kpi = one
        return metric.model, kpi.scope or "", kpi.has_total

    for (_, scope, has_total), kpis in groupby(sorted(specs.kpis().values(), key=key), key):
        yield (scope or None, has_total), list(kpis)


def _figures(metric: Metric, kpi: Kpi, scope: str, row: Mapping[str, Any]) -> Iterator[Figure]:
    """The figure of this row, unless nobody wants it kept."""
    value = row[metric.name]
    level = level_of(kpi.thresholds, value)
    if scope and kpi.keep == "flagged" and level not in LEVELS:
        return
    inputs = {name: row[name] for name in kpi.inputs}
    yield Figure(
        metric.name,
        scope,
        value,
        kpi.unit,
        inputs,
        reason_of(kpi.reasons, inputs) if value is None else None,
        level,
        described(kpi),
        kpi.is_snapshot,
    )


def described(kpi: Kpi) -> dict[str, Any]:
    """Return what a stored figure says of its specification."""
    said: dict[str, Any] = {"version": kpi.version}
    if kpi.thresholds:
        said["thresholds"] = {name: str(one) for name, one in kpi.thresholds.items()}
    if kpi.assumptions:
        said["assumptions"] = list(kpi.assumptions)
    return said
