"""Read the rules of `rules/*.yml` and refuse what could not be asked.

The files have the shape of Open Data Contract Standard 3.1 (`schema` → `quality`, `properties` →
`quality`): its library metrics where one fits, `type: custom` with `engine: ocd` for the rest.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from ocd.core.errors import ConfigError, UnknownName
from ocd.datasets.registry import DATASETS
from ocd.quality.conditions import STATISTICS
from ocd.quality.expressions import EXPRESSIONS
from ocd.quality.rule import Dimension, Kind, Rule, Severity, Slo, Source, Tolerance

FOLDER = Path(__file__).parent / "rules"
SQL = FOLDER / "sql"

#: Words of the standard for dimensions that we call otherwise.
_DIMENSIONS = {"conformity": "validity", "coverage": "volume"}
_DURATION = re.compile(r"(\d+) (minutes|hours|days)")
_SAID = {"id", "type", "engine", "metric", "arguments", "implementation", "unit", "dimension"}
_SAID |= {"severity", "description", "businessImpact", "customProperties"}
_OWN = {"filter", "owner", "slo", "sloDays", "remedy"}
_THRESHOLDS = {
    "mustBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
}
Body = Mapping[str, Any]


def load(folder: Path = FOLDER, sources: Iterable[Source] | None = None) -> tuple[Rule, ...]:
    """Read every file of the folder; raises ConfigError with file and rule where one is wrong.

    `sources` are tables that files may name, the datasets unless said otherwise; a file that names
    another table says its key itself.
    """
    known = {one.name: one for one in sources or map(Source.of, DATASETS)}
    rules: dict[str, Rule] = {}
    for path in sorted(folder.glob("*.yml")):
        for rule in _rules_of(path, known):
            if rule.id in rules:
                raise ConfigError(f"{path.name}: {rule.id} is said twice")
            rules[rule.id] = rule
    return tuple(rules.values())


def chosen(
    rules: Iterable[Rule], *, dataset: str = "all", rule: str | None = None
) -> tuple[Rule, ...]:
    """Return the rules of a dataset, of all, or one of them; raises UnknownName where there is none."""
    found = tuple(rules)
    if dataset != "all":
        known = {one.source.name for one in found}
        found = tuple(one for one in found if one.source.name == dataset)
        if not found:
            raise UnknownName("dataset with quality rules", dataset, known)
    if rule is None:
        return found
    picked = tuple(one for one in found if one.id == rule)
    if not picked:
        raise UnknownName("quality rule", rule, (one.id for one in found))
    return picked


def _rules_of(path: Path, known: Mapping[str, Source]) -> Iterator[Rule]:
    for body in _tables(path):
        source = _source(path.name, body, known)
        for column, check in _checks(body):
            try:
                yield _rule(source, column, check, path.parent)
            except (KeyError, TypeError, ValueError, re.error) as error:
                name = f"{source.name}.{check.get('id', '(no id)')}"
                what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
                raise ConfigError(f"{path.name}: rule {name}: {what}") from error


def _tables(path: Path) -> list[Body]:
    """Return the tables of a file; raises ConfigError where it is no contract with named tables."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name}: {' '.join(str(error).split())}") from error
    tables = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(tables, list):
        raise ConfigError(f"{path.name}: expected a data contract, with its tables under `schema`")
    items = [item for body in tables for item in (body, *_properties(body))]
    if not all(isinstance(item, dict) and "name" in item for item in items):
        raise ConfigError(f"{path.name}: each table and each property of it needs a name")
    return tables


def _properties(body: Any) -> list[Any]:
    return body.get("properties") or [] if isinstance(body, dict) else []


def _checks(body: Body) -> Iterator[tuple[str | None, Body]]:
    for check in body.get("quality", ()):
        yield None, check
    for item in _properties(body):
        for check in item.get("quality", ()):
            yield item["name"], check


def _source(file: str, body: Body, known: Mapping[str, Source]) -> Source:
    name = body["name"]
    if name in known:
        return known[name]
    keys = [one["name"] for one in _properties(body) if one.get("primaryKey")]
    if "physicalName" not in body or len(keys) != 1:
        raise ConfigError(
            f"{file}: {name} is no dataset; say its physicalName, and which property is its primaryKey"
        )
    columns = {one["name"]: (one.get("physicalType", ""), True) for one in _properties(body)}
    owner = str(_own(body).get("owner", "engineering"))
    return Source(name, body["physicalName"], keys[0], None, owner, columns)


def _own(body: Body) -> dict[str, Any]:
    return {one["property"]: one["value"] for one in body.get("customProperties", ())}


def _rule(source: Source, column: str | None, check: Body, folder: Path) -> Rule:
    own = _own(check)
    _refuse_unknown(check, own)
    kind, params, columns = _asked(column, check, folder)
    strange = [one for one in columns if source.columns and one not in source.columns]
    if strange:
        raise ValueError(f"{source.table} has no column {strange[0]}")
    dimension = str(check["dimension"])
    name = f"{column}.{check['id']}" if column else str(check["id"])
    slo = Slo(float(own["slo"]), int(own.get("sloDays", 7))) if "slo" in own else None
    return Rule(
        f"{source.name}.{name}",
        source,
        kind,
        Dimension(_DIMENSIONS.get(dimension, dimension)),
        Severity(check.get("severity", "error")),
        " ".join(str(check["description"]).split()),
        params,
        columns,
        own.get("filter"),
        _tolerance(kind, check),
        slo,
        str(own.get("owner", source.owner)),
        str(own.get("remedy", "")),
    )


def _refuse_unknown(check: Body, own: Body) -> None:
    unknown = sorted((set(check) - _SAID - _THRESHOLDS) | (set(own) - _OWN))
    if unknown:
        raise ValueError(f"unknown words: {', '.join(unknown)}")


def _tolerance(kind: Kind, check: Body) -> Tolerance:
    if kind is Kind.VOLUME or not _THRESHOLDS & set(check):
        return Tolerance()
    if set(check) & _THRESHOLDS <= {"mustBe"} and check["mustBe"] == 0:
        return Tolerance()
    limit = check["mustBeLessOrEqualTo"]
    if check.get("unit", "rows") == "percent":
        return Tolerance(share=float(limit) / 100)
    return Tolerance(rows=int(limit))


Asked = tuple[Kind, dict[str, Any], tuple[str, ...]]


def _asked(column: str | None, check: Body, folder: Path) -> Asked:
    if "metric" in check:
        return _LIBRARY[check["metric"]](column, check)
    if check.get("type") != "custom" or check.get("engine") != "ocd":
        raise ValueError("say a metric of the library, or type: custom with engine: ocd")
    body = dict(check["implementation"])
    kind = Kind(body.pop("kind"))
    columns = tuple(body.pop("columns", (column,) if column else ()))
    return kind, _CHECKED.get(kind, _as_said)(body, folder), columns


def _nulls(column: str | None, check: Body) -> Asked:
    return Kind.NOT_NULL, {}, (_needed(column),)


def _missing(column: str | None, check: Body) -> Asked:
    return Kind.FILLED, {}, (_needed(column),)


def _invalid(column: str | None, check: Body) -> Asked:
    arguments = check["arguments"]
    if "validValues" in arguments:
        return Kind.SET, {"values": list(arguments["validValues"])}, (_needed(column),)
    re.compile(arguments["pattern"])
    return Kind.REGEX, {"pattern": arguments["pattern"]}, (_needed(column),)


def _duplicates(column: str | None, check: Body) -> Asked:
    named = check.get("arguments", {}).get("properties", ())
    return Kind.UNIQUE, {}, tuple(named) or (_needed(column),)


def _row_count(column: str | None, check: Body) -> Asked:
    low = check.get("mustBeGreaterOrEqualTo", check.get("mustBe"))
    high = check.get("mustBeLessOrEqualTo", check.get("mustBe"))
    if "mustBeGreaterThan" in check:
        low = check["mustBeGreaterThan"] + 1
    if "mustBeLessThan" in check:
        high = check["mustBeLessThan"] - 1
    if "mustBeBetween" in check:
        low, high = check["mustBeBetween"]
    if low is None and high is None:
        raise ValueError("rowCount needs a bound, such as mustBeGreaterThan")
    return Kind.VOLUME, {"min": low, "max": high}, ()


def _needed(column: str | None) -> str:
    if column is None:
        raise ValueError("it belongs under a property")
    return column


_LIBRARY: Mapping[str, Callable[[str | None, Body], Asked]] = {
    "nullValues": _nulls,
    "missingValues": _missing,
    "invalidValues": _invalid,
    "duplicateValues": _duplicates,
    "rowCount": _row_count,
}


def _as_said(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    return body


def _bounded(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    if not {"min", "max"} & set(body):
        raise ValueError("it needs min, max or both")
    return body


def _fresh(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = _DURATION.fullmatch(str(body["within"]))
    if not found:
        raise ValueError("within is a number of minutes, hours or days, such as 2 days")
    within = timedelta(**{found[2]: int(found[1])})
    return {"within_s": within.total_seconds()}


def _measure(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    if body["measure"] not in STATISTICS:
        raise ValueError(f"it can measure {', '.join(STATISTICS)}")
    return _bounded(body, folder)


def _expression(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    if body["expression"] not in EXPRESSIONS:
        raise ValueError(f"there is no expression {body['expression']} in expressions.py")
    return body | {"source": inspect.getsource(EXPRESSIONS[body["expression"]])}


def _statement(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / "sql" / body["file"]
    if not path.is_file():
        raise ValueError(f"there is no file {path.name} in {path.parent.name}/")
    return body | {"statement": path.read_text(encoding="utf-8")}


def _target(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {"table": body["table"], "to": tuple(body["to"])}


#: What a kind's parameters have to be; the rest is taken as it is said.
_CHECKED: Mapping[Kind, Callable[[dict[str, Any], Path], dict[str, Any]]] = {
    Kind.DISTRIBUTION: _measure,
    Kind.FRESHNESS: _fresh,
    Kind.LENGTH: _bounded,
    Kind.PYTHON: _expression,
    Kind.RANGE: _bounded,
    Kind.REFERENCE: _target,
    Kind.SQL: _statement,
}
