"""Read the specifications of metrics and refuse what the compiler could not carry out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ocd.analytics.kpis.policy import LEVELS, Condition
from ocd.analytics.kpis.spec import Kpi, Metric, Model, Specs
from ocd.core.errors import ConfigError

FOLDER = Path(__file__).parent / "specs"
AGGREGATIONS = ("sum", "sum_boolean", "count_distinct", "average", "min", "max", "percentile")

#: MetricFlow wants the last one; nothing here reads it.
_KINDS = ("semantic_model", "metric", "project_configuration")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DIMENSION = re.compile(r"\{\{ Dimension\('([a-z0-9_]+)__([a-z0-9_]+)'\) \}\}")
_META = {"version", "owner", "unit", "direction", "scope", "total", "keep", "snapshot", "inputs"}
_META |= {"thresholds", "reasons", "assumptions", "edge_cases", "used_by"}


def load(folder: Path = FOLDER) -> Specs:
    """Read every file of the folder; raises ConfigError with file and metric where one is wrong."""
    models: dict[str, Model] = {}
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for file, kind, body in _documents(folder):
        name = _name(body, file)
        if name in (models if kind == "semantic_model" else found):
            raise ConfigError(f"{file}: {name} is said twice")
        if kind == "semantic_model":
            try:
                models[name] = _model(body)
            except (KeyError, IndexError, TypeError) as error:
                raise ConfigError(f"{file}: semantic model {name}: {error}") from error
        else:
            found[name] = (file, body)
    metrics: dict[str, Metric] = {}
    for name in found:
        _resolve(name, found, models, metrics, ())
    return Specs(models, metrics)


def _documents(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in sorted(folder.glob("*.yml")):
        try:
            documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise ConfigError(f"{path.name}: {error}") from error
        for document in documents:
            kind, body = _kind_and_body(document, path.name)
            if kind != "project_configuration":
                yield path.name, kind, body


def _kind_and_body(document: Any, file: str) -> tuple[str, dict[str, Any]]:
    if isinstance(document, dict) and len(document) == 1:
        ((kind, body),) = document.items()
        if kind in _KINDS and isinstance(body, dict):
            return kind, body
    raise ConfigError(f"{file}: each document is one of {', '.join(_KINDS)}, and nothing else")


def _name(body: Mapping[str, Any], file: str) -> str:
    name = str(body.get("name"))
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{file}: {name!r} is no name of lower-case words joined by one underscore"
        )
    return name


def _model(body: Mapping[str, Any]) -> Model:
    place = body["node_relation"]
    expressions = {one["name"]: str(one.get("expr", one["name"])) for one in body["dimensions"]}
    time = body["defaults"]["agg_time_dimension"]
    entities = [one["name"] for one in body.get("entities", ()) if one["type"] == "primary"]
    return Model(
        body["name"],
        body["description"],
        f"{place['schema_name']}.{place['alias']}",
        expressions.pop(time),
        body.get("primary_entity") or entities[0],
        expressions,
    )


def _resolve(
    name: str,
    found: Mapping[str, tuple[str, dict[str, Any]]],
    models: Mapping[str, Model],
    metrics: dict[str, Metric],
    above: tuple[str, ...],
) -> Metric:
    """Make the metric after those that it is computed from."""
    if name in metrics:
        return metrics[name]
    if name not in found or name in above:
        what = "computes with itself" if name in above else "is not a metric"
        raise ConfigError(f"metric {above[-1]}: {name} {what}")
    file, body = found[name]
    try:
        parts = [
            _resolve(one, found, models, metrics, (*above, name)) for one in _input_names(body)
        ]
        metric = _derived(body, parts) if parts else _simple(body, models)
        _check_kpi(metric, models[metric.model], metrics, found)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{file}: metric {name}: {error}") from error
    metrics[name] = metric
    return metric


def _input_names(body: Mapping[str, Any]) -> list[str]:
    params = body["type_params"]
    if body["type"] == "ratio":
        parts = [params["numerator"], params["denominator"]]
    else:
        parts = params.get("metrics", [])
    unknown = {key for one in parts for key in one} - {"name"}
    if unknown:
        raise ValueError(f"an input may have nothing but a name, not {', '.join(sorted(unknown))}")
    return [one["name"] for one in parts]


def _derived(body: Mapping[str, Any], parts: list[Metric]) -> Metric:
    names = tuple(one.name for one in parts)
    if len({one.model for one in parts}) > 1:
        raise ValueError("its inputs are of several models; make a view that joins them")
    if body.get("filter"):
        raise ValueError("a filter belongs to its inputs")
    if body["type"] == "ratio":
        expression = f"1.0 * {names[0]} / nullif({names[1]}, 0)"
    else:
        expression = str(body["type_params"]["expr"])
    return Metric(
        body["name"],
        body["description"],
        parts[0].model,
        expression,
        inputs=names,
        kpi=_kpi(body, names),
    )


def _simple(body: Mapping[str, Any], models: Mapping[str, Model]) -> Metric:
    if body["type"] != "simple":
        raise ValueError(f"type {body['type']} is not supported")
    params = body["type_params"]
    how = params["metric_aggregation_params"]
    if how["agg"] not in AGGREGATIONS:
        raise ValueError(f"aggregation {how['agg']} is not supported")
    share = how.get("agg_params", {}).get("percentile")
    return Metric(
        body["name"],
        body["description"],
        how["semantic_model"],
        str(params["expr"]),
        aggregation=how["agg"],
        percentile=None if share is None else float(share),
        fill=params.get("fill_nulls_with"),
        condition=_condition(body.get("filter"), models[how["semantic_model"]]),
        kpi=_kpi(body, ()),
    )


def _condition(text: str | None, model: Model) -> str | None:
    """Put each dimension's expression in its place."""
    if text is None:
        return None

    def expression(found: re.Match[str]) -> str:
        entity, dimension = found.groups()
        if entity != model.entity or dimension not in model.dimensions:
            raise ValueError(f"its filter names {entity}__{dimension}, which {model.name} has not")
        return f"({model.dimensions[dimension]})"

    condition = _DIMENSION.sub(expression, text)
    if "{{" in condition:
        raise ValueError("its filter names something else than a dimension")
    return condition


def _kpi(body: Mapping[str, Any], inputs: tuple[str, ...]) -> Kpi | None:
    meta: dict[str, Any] | None = body.get("config", {}).get("meta")
    if meta is None:
        return None
    unknown = sorted(set(meta) - _META | set(meta.get("thresholds", {})) - set(LEVELS))
    if unknown:
        raise ValueError(f"its meta has unknown words: {', '.join(unknown)}")
    return Kpi(
        int(meta["version"]),
        meta["owner"],
        meta["unit"],
        direction=meta.get("direction"),
        scope=meta.get("scope"),
        has_total=meta.get("total", True),
        keep=meta.get("keep", "all"),
        is_snapshot=meta.get("snapshot", False),
        inputs=(*inputs, *(one for one in meta.get("inputs", ()) if one not in inputs)),
        thresholds=_conditions(meta.get("thresholds", {})),
        reasons=_conditions(meta.get("reasons", {})),
        assumptions=tuple(meta.get("assumptions", ())),
        edge_cases=tuple(meta.get("edge_cases", ())),
        used_by=tuple(meta.get("used_by", ())),
    )


def _conditions(texts: Mapping[str, str]) -> dict[str, Condition]:
    return {name: Condition.parse(text) for name, text in texts.items()}


def _check_kpi(
    metric: Metric, model: Model, metrics: Mapping[str, Metric], found: Mapping[str, Any]
) -> None:
    kpi = metric.kpi
    if kpi is None:
        return
    if kpi.scope and kpi.scope not in model.dimensions:
        raise ValueError(f"its scope {kpi.scope} is no dimension of {model.name}")
    missing = [one for one in kpi.inputs if one not in found]
    strange = [one.name for one in kpi.reasons.values() if one.name not in kpi.inputs]
    strange += [one.name for one in kpi.thresholds.values() if one.name != "value"]
    if missing or strange:
        raise ValueError(f"it names what it has no input of: {', '.join(missing + strange)}")
