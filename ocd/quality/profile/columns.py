"""What is known of one column, and what may be told of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ocd.datasets.facts import Column, Dataset, Pii
from ocd.stats.distribution import Distribution


class Kind(StrEnum):
    """What can be asked of a column's values."""

    NUMBER = "number"
    INSTANT = "instant"
    FLAG = "flag"
    TEXT = "text"
    OTHER = "other"


#: A value is told as common only where at least so many rows share it.
LEAST_SHARING = 10
#: Common values and bucket edges that are kept of a column.
TOP, EDGES = 20, 20

_KINDS = (
    (Kind.NUMBER, re.compile(r"(smallint|integer|bigint|numeric(\(.*\))?|real|double precision)$")),
    (Kind.INSTANT, re.compile(r"(timestamp with(out)? time zone|date)$")),
    (Kind.FLAG, re.compile(r"boolean$")),
    (Kind.TEXT, re.compile(r"(text|character varying(\(\d+\))?)$")),
)


@dataclass(frozen=True)
class ColumnProfile:
    """Aggregates of one column; `stats` holds what its kind and its class of personal data allow."""

    name: str
    kind: Kind
    rows: int
    nulls: int
    stats: Mapping[str, Any]

    @property
    def null_share(self) -> float:
        """Share of the rows without a value; 0 for no rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def distribution(self) -> Distribution | None:
        """Where the numbers lie; None where that is not known or not told."""
        if self.kind is not Kind.NUMBER or not (
            self.stats.get("points") or self.stats.get("edges")
        ):
            return None
        points = tuple((float(value), float(share)) for value, share in self.stats["points"])
        return Distribution(points, tuple(map(float, self.stats["edges"])))

    @property
    def categories(self) -> dict[str, float] | None:
        """Shares of the common values, and of `…`, all others; None where that is not known."""
        if self.kind is Kind.FLAG and self.rows > self.nulls:
            share = self.stats.get("true", 0) / (self.rows - self.nulls)
            return {"true": share, "false": 1 - share}
        if self.kind is not Kind.TEXT or not self.stats.get("top"):
            return None
        told = {str(value): float(share) for value, share in self.stats["top"]}
        return told | {"…": max(0.0, 1 - sum(told.values()))}


@dataclass(frozen=True)
class TableProfile:
    """All columns of a table as of one snapshot."""

    dataset: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    profiled_at: datetime


def kind_of(sql_type: str) -> Kind:
    """Return the kind of a column by its type as `format_type` prints it."""
    return next((kind for kind, pattern in _KINDS if pattern.match(sql_type)), Kind.OTHER)


def is_open(column: Column) -> bool:
    """Whether values of the column may be told: it holds no personal data, and is no document."""
    return column.pii is Pii.NONE and kind_of(column.type) is not Kind.OTHER


def is_identifier(dataset: Dataset, column: Column, distinct_values: float | None) -> bool:
    """Whether it only names rows: the key, or a value of its own in each. Where such numbers lie means nothing."""
    return column.name == dataset.key or distinct_values == -1


def known(
    column: Column, *, rows: int, nulls: int, distinct_values: float | None, **found: Any
) -> dict[str, Any]:
    """Return what PostgreSQL's statistics say of the column: `common`, `shares`, `bounds` as it keeps them.

    Shares are of the rows that have a value. Nothing for a column that was never analysed.
    """
    if distinct_values is None:
        return {}
    present = rows - nulls
    # Negative: a share of the rows, because the number grows with them.
    count = distinct_values if distinct_values >= 0 else -distinct_values * rows
    stats: dict[str, Any] = {"distinct": min(round(count), present)}
    common = zip(found["common"] or (), found["shares"] or (), strict=True)
    filled = present / rows if rows else 0.0
    shared = [(value, share / filled) for value, share in common if filled]
    if kind_of(column.type) is Kind.NUMBER:
        edges = _thinned(found["bounds"] or ())
        stats["points"] = [(float(value), share) for value, share in shared]
        stats["edges"] = [float(value) for value in edges]
        stats |= _quantiles(stats)
    elif kind_of(column.type) is Kind.TEXT:
        stats["top"] = [one for one in shared if one[1] * present >= LEAST_SHARING][:TOP]
        # Buckets hold what is not common: without any, the common values are all there is.
        stats["is_closed"] = (
            bool(shared) and not found["bounds"] and len(shared) == len(stats["top"])
        )
    return stats


def _thinned(bounds: Any) -> list[Any]:
    """Return at most EDGES + 1 of the edges, the outermost among them, equally far apart."""
    last = len(bounds) - 1
    if last <= EDGES:
        return list(bounds)
    return [bounds[round(n * last / EDGES)] for n in range(EDGES + 1)]


def _quantiles(stats: Mapping[str, Any]) -> dict[str, float]:
    if not (stats["points"] or stats["edges"]):
        return {}
    lies = Distribution(tuple(stats["points"]), tuple(stats["edges"]))
    return {f"p{share:02}": round(lies.quantile(share / 100), 6) for share in (5, 25, 50, 75, 95)}
