"""What a specification says: models, metrics, and what makes a metric a key figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ocd.analytics.kpis.policy import Condition
from ocd.core.errors import UnknownName


@dataclass(frozen=True)
class Model:
    """Rows to compute from: a relation, its time and what it can be split by, as SQL expressions."""

    name: str
    description: str
    relation: str
    time: str
    entity: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class Kpi:
    """What makes a metric a figure that is stored every night and shown to people.

    `scope`: the dimension it is split by, beside the total. `keep`: all scopes, or only those that
    reached a level. `is_snapshot`: it is about how things stand when it is computed, not about rows
    with a time, so it cannot be had later. `inputs`: metrics that are stored beside the value.
    """

    version: int
    owner: str
    unit: str
    direction: str | None = None
    scope: str | None = None
    has_total: bool = True
    keep: str = "all"
    is_snapshot: bool = False
    inputs: tuple[str, ...] = ()
    thresholds: Mapping[str, Condition] = field(default_factory=dict)
    reasons: Mapping[str, Condition] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    edge_cases: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A simple metric aggregates an expression; a derived one computes with `inputs` of its model."""

    name: str
    description: str
    model: str
    expression: str
    aggregation: str | None = None
    percentile: float | None = None
    fill: int | None = None
    condition: str | None = None
    inputs: tuple[str, ...] = ()
    kpi: Kpi | None = None


@dataclass(frozen=True)
class Specs:
    """Every model and metric by name."""

    models: Mapping[str, Model]
    metrics: Mapping[str, Metric]

    def metric(self, name: str) -> Metric:
        """Return the metric of that name; raises UnknownName with the nearest one."""
        if name not in self.metrics:
            raise UnknownName("metric", name, self.metrics)
        return self.metrics[name]

    def kpis(self) -> dict[str, tuple[Metric, Kpi]]:
        """Return the metrics that are stored every night."""
        return {name: (one, one.kpi) for name, one in self.metrics.items() if one.kpi}
