"""Propose rules from a profile, for a person to accept. Pure; what holds today need not be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from ocd.datasets.facts import Column, Dataset
from ocd.quality.profile.columns import ColumnProfile, Kind, TableProfile, is_open

#: Fewer rows let nothing be said about the next one.
LEAST_ROWS = 100
#: Nulls up to this share look like an exception, more like a habit.
RARE_NULLS = 0.01
#: More values than this are no vocabulary.
MOST_VALUES = 20


@dataclass(frozen=True)
class Suggestion:
    """A rule in the shape of the rule files, and what in the profile speaks for it."""

    column: str | None
    body: dict[str, Any]
    because: str

    @property
    def name(self) -> str:
        """Name within its table, such as `status.known`."""
        return f"{self.column}.{self.body['id']}" if self.column else str(self.body["id"])


def suggest(
    dataset: Dataset, found: TableProfile, *, known: Iterable[str] = ()
) -> tuple[Suggestion, ...]:
    """Return rules that the profiled rows meet, without those of `known` names.

    None for a table of fewer than LEAST_ROWS rows. Values are named only of columns without personal data.
    """
    if found.rows < LEAST_ROWS:
        return ()
    facts = {one.name: one for one in dataset.columns}
    proposed = [_volume(found)]
    for one in found.columns:
        proposed += [*_null(one, facts[one.name]), *_values(one, facts[one.name])]
        proposed += [*_unique(one, dataset)]
    taken = set(known)
    return tuple(one for one in proposed if one.name not in taken)


def as_document(dataset: Dataset, suggestions: Iterable[Suggestion]) -> dict[str, Any]:
    """Return the suggestions as a rule file: Open Data Contract Standard 3.1."""
    table: dict[str, Any] = {"name": dataset.name}
    columns: dict[str, list[dict[str, Any]]] = {}
    for one in suggestions:
        if one.column is None:
            table.setdefault("quality", []).append(one.body)
        else:
            columns.setdefault(one.column, []).append(one.body)
    table["properties"] = [{"name": name, "quality": bodies} for name, bodies in columns.items()]
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"ocd.{dataset.name}",
        "version": "1.0.0",
        "status": "draft",
        "schema": [table],
    }


def _volume(found: TableProfile) -> Suggestion:
    body = {
        "id": "volume",
        "metric": "rowCount",
        "mustBeGreaterThan": 0,
        "dimension": "volume",
        "severity": "warn",
        "description": "The table holds rows.",
    }
    return Suggestion(None, body, f"{found.rows:,} rows")


def _null(one: ColumnProfile, facts: Column) -> Iterator[Suggestion]:
    """Propose that a column is filled which may be null and hardly ever is."""
    if not facts.nullable or one.null_share > RARE_NULLS:
        return
    bound: dict[str, Any] = {"mustBe": 0}
    if one.nulls:
        bound = {"mustBeLessOrEqualTo": _rounded_up(100 * one.null_share), "unit": "percent"}
    body = {
        "id": "given",
        "metric": "nullValues",
        **bound,
        "dimension": "completeness",
        "severity": "warn",
        "description": "It is there, as it was when the rule was proposed.",
    }
    yield Suggestion(one.name, body, f"{one.nulls:,} of {one.rows:,} rows are null")


def _values(one: ColumnProfile, facts: Column) -> Iterator[Suggestion]:
    if not is_open(facts):
        return
    top = one.stats.get("top", ())
    if one.kind is Kind.TEXT and one.stats.get("is_closed") and len(top) <= MOST_VALUES:
        yield _vocabulary(one, sorted(str(value) for value, _ in top))
    if one.distribution and "min" in one.stats:
        yield _range(one)


def _vocabulary(one: ColumnProfile, values: list[str]) -> Suggestion:
    body = {
        "id": "known",
        "metric": "invalidValues",
        "arguments": {"validValues": values},
        "mustBe": 0,
        "dimension": "validity",
        "severity": "warn",
        "description": "It is a word that was in use when the rule was proposed.",
    }
    return Suggestion(one.name, body, f"{len(values)} words are all there is")


def _range(one: ColumnProfile) -> Suggestion:
    least, most = float(one.stats["min"]), float(one.stats["max"])
    low = 0 if least >= 0 else -_rounded_up(-least)
    high = _rounded_up(most) if most > 0 else 0
    body = {
        "id": "range",
        "type": "custom",
        "engine": "ocd",
        "implementation": {"kind": "range", "min": low, "max": high},
        "dimension": "validity",
        "severity": "warn",
        "description": "It lies where it lay when the rule was proposed.",
    }
    return Suggestion(one.name, body, f"between {one.stats['min']} and {one.stats['max']}")


def _unique(one: ColumnProfile, dataset: Dataset) -> Iterator[Suggestion]:
    present = one.rows - one.nulls
    may_name = one.kind in {Kind.TEXT, Kind.NUMBER} and one.name != dataset.key
    if not may_name or present < LEAST_ROWS or one.stats.get("distinct") != present:
        return
    body = {
        "id": "unique",
        "metric": "duplicateValues",
        "mustBe": 0,
        "dimension": "uniqueness",
        "severity": "warn",
        "description": "No two rows have the same.",
    }
    yield Suggestion(one.name, body, f"{present:,} rows, as many values")


def _rounded_up(value: float) -> float | int:
    """Return the next number with one significant digit: 0.3, 7, 60000."""
    unit = 10.0 ** floor(log10(value)) if value > 0 else 1.0
    digit = value / unit
    rounded = unit * (int(digit) + (digit > int(digit)))
    return int(rounded) if rounded >= 1 else round(rounded, 6)
