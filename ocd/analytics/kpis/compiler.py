"""Make one statement of metrics that are computed from the same rows.

Everything in the statement comes from the specifications or from lists in this module; what a caller
brings from outside (edges of the period, values to filter by) is bound as a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import TextClause, text

from ocd.analytics.kpis.spec import Metric, Model, Specs
from ocd.core.errors import ConfigError, UnknownName

#: What a period can be cut into; the words that date_trunc takes.
GRAINS = ("day", "week", "month", "quarter", "year")
_AGGREGATES = {
    "sum": "sum({expr})",
    "sum_boolean": "sum(case when {expr} then 1 else 0 end)",
    "count_distinct": "count(distinct {expr})",
    "average": "avg({expr})",
    "min": "min({expr})",
    "max": "max({expr})",
    "percentile": "percentile_cont({share}) within group (order by {expr})",
}


@dataclass(frozen=True)
class Cut:
    """How the rows are split: by dimensions and by grains of time, each with a total beside or not.

    `only`: dimensions whose values the caller will bind as lists, `:only_<dimension>`.
    """

    by: tuple[str, ...] = ()
    grain: str | None = None
    has_total: bool = False
    only: tuple[str, ...] = ()


def compile_query(specs: Specs, names: Sequence[str], cut: Cut = Cut()) -> TextClause:
    """Return the statement: a column per dimension, `metric_time` where cut by a grain, one per metric.

    Leaves `:start`, `:end` and the lists of `cut.only` to bind. A total has empty dimensions.
    Raises UnknownName for a metric, dimension or grain that is not declared, ConfigError for metrics
    of several models.
    """
    metrics = [specs.metric(name) for name in names]
    model = _common_model(specs, metrics)
    _check(model, cut)
    leaves = sorted({leaf for one in metrics for leaf in _leaves(specs, one)})
    keys = [*cut.by, *(["metric_time"] if cut.grain else [])]
    outer = [f"coalesce({key}, '') as {key}" if cut.has_total else key for key in keys]
    outer += [f"{_expression(specs, one)} as {one.name}" for one in metrics]
    return text(
        "\n".join(
            ["select", ",\n".join(outer), "from (", _inner(specs, model, leaves, cut), ") leaf"]
        )
    )


def _common_model(specs: Specs, metrics: Sequence[Metric]) -> Model:
    models = {one.model for one in metrics}
    if len(models) != 1:
        raise ConfigError(
            f"metrics of several models in one statement: {', '.join(sorted(models))}"
        )
    return specs.models[models.pop()]


def _check(model: Model, cut: Cut) -> None:
    for name in (*cut.by, *cut.only):
        if name not in model.dimensions:
            raise UnknownName(f"dimension of {model.name}:", name, model.dimensions)
    if cut.grain is not None and cut.grain not in GRAINS:
        raise UnknownName("grain", cut.grain, GRAINS)


def _leaves(specs: Specs, metric: Metric) -> Collection[str]:
    """The simple metrics below."""
    if not metric.inputs:
        return {metric.name}
    return {leaf for one in metric.inputs for leaf in _leaves(specs, specs.metric(one))}


def _expression(specs: Specs, metric: Metric) -> str:
    """The metric as an expression over its leaves."""
    if not metric.inputs:
        return metric.name
    words = re.compile(rf"\b({'|'.join(metric.inputs)})\b")
    return words.sub(
        lambda found: f"({_expression(specs, specs.metric(found[1]))})", metric.expression
    )


def _inner(specs: Specs, model: Model, leaves: Sequence[str], cut: Cut) -> str:
    """Aggregate each leaf over its own rows, reading no row that none of them wants."""
    columns = [f"{model.dimensions[one]} as {one}" for one in cut.by]
    columns += [f"date_trunc('{cut.grain}', {model.time}) as metric_time"] if cut.grain else []
    places = ", ".join(str(number + 1) for number in range(len(columns)))
    simple = [specs.metric(name) for name in leaves]
    columns += [f"{_aggregate(one)} as {one.name}" for one in simple]
    lines = ["select", ",\n".join(columns), "from", model.relation]
    conditions = _conditions(simple, model, cut)
    lines += ["where", "\nand ".join(conditions)] if conditions else []
    if places:
        lines += ["group by", f"grouping sets (({places}), ())" if cut.has_total else places]
    return "\n".join(lines)


def _aggregate(metric: Metric) -> str:
    form = _AGGREGATES[metric.aggregation or ""]
    aggregate = form.format(expr=metric.expression, share=metric.percentile)
    if metric.condition:
        aggregate = f"{aggregate} filter (where {metric.condition})"
    return aggregate if metric.fill is None else f"coalesce({aggregate}, {metric.fill})"


def _conditions(simple: Sequence[Metric], model: Model, cut: Cut) -> list[str]:
    wanted = {one.condition for one in simple}
    conditions = [f"({model.dimensions[one]}) = any(:only_{one})" for one in cut.only]
    if None not in wanted:
        conditions.insert(0, f"({' or '.join(sorted(f'({one})' for one in wanted))})")
    return conditions
