"""Roll a period's figures up into metric facts."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, text

from ocd.core.sqlfiles import statement
from ocd.datasets.agents import WINDOW
from ocd.ledger.run import Run
from ocd.ledger.windows import Window

log = logging.getLogger(__name__)

#: What is about how things stand now says little about a period that ended longer ago than this.
SNAPSHOT_TRUST = timedelta(days=1)
_UPSERT = statement(__file__, "upsert_metric.sql")
_DELETE_ABSENT = statement(__file__, "delete_absent_scopes.sql")


class Figure(Protocol):
    """A metric's value for a scope, or the reason why there is none, and how it came about."""

    @property
    def metric(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def value(self) -> float | Decimal | None: ...
    @property
    def unit(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def level(self) -> str | None: ...
    @property
    def spec(self) -> Mapping[str, Any]: ...
    @property
    def is_snapshot(self) -> bool: ...


#: Every figure of the period between two instants, days being those of the session's time zone.
Measure = Callable[[Connection, datetime, datetime], Sequence[Figure]]


@dataclass(frozen=True)
class RollupReport:
    """How many facts were written, of which metrics, over how many agents, and how bad they are.

    `is_late`: the period is older than the shortest retention, so its rows may be purged. Facts that
    were computed in time stayed; new ones say `is_late` in their inputs. `levels`: facts by level.
    """

    version: ClassVar[int] = 2
    rows: int
    metrics: tuple[str, ...]
    scopes: int
    is_late: bool = False
    levels: dict[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line for people."""
        text = f"{self.rows} facts of {len(self.metrics)} metrics over {self.scopes} scopes"
        bad = [f"{self.levels[one]} {one}" for one in ("crit", "warn") if self.levels.get(one)]
        text = ", ".join([text, *bad])
        return f"{text}; the period is past retention" if self.is_late else text


def rollup(
    conn: Connection, *, run: Run, now: datetime, measure: Measure, zone: str = "UTC"
) -> RollupReport:
    """Compute and write every figure of the run's window. Commits once; twice writes the same rows.

    `zone`: the time zone of the shop, whose days the figures count in.
    """
    window = run.window
    with run.batch(conn) as batch:
        conn.execute(text("select set_config('timezone', :zone, true)"), {"zone": zone})
        found = measure(conn, window.start, window.end)
        stamp = {"start": window.start, "end": window.end, "run_id": run.id, "computed_at": now}
        facts = [_fact(one, is_late(one, window, now)) | stamp for one in found]
        written = conn.execute(_UPSERT, facts).rowcount
        conn.execute(_DELETE_ABSENT, stamp | _present(facts))
        batch.progress(len(found), len(found), "facts")
    report = RollupReport(
        written,
        tuple(sorted({one.metric for one in found})),
        len({one.scope for one in found} - {""}),
        now > window.start + WINDOW,
        dict(Counter(one.level for one in found if one.level)),
    )
    log.info("rolled_up", extra={"facts": written, "is_late": report.is_late})
    return report


def is_late(figure: Figure, window: Window, now: datetime) -> bool:
    """Whether what it is computed from may be gone, or no longer as it was."""
    if figure.is_snapshot and now > window.end + SNAPSHOT_TRUST:
        return True
    return now > window.start + WINDOW


def _fact(figure: Figure, is_late: bool) -> dict[str, Any]:
    inputs = {**figure.inputs, "is_late": True} if is_late else figure.inputs
    return {
        "metric": figure.metric,
        "scope": figure.scope,
        "value": figure.value,
        "unit": figure.unit,
        "inputs": json.dumps(inputs, default=_plain),
        "reason": figure.reason,
        "level": figure.level,
        "spec": json.dumps(figure.spec),
        "is_late": is_late,
    }


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _present(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts that this period has, and the metrics that were computed in time."""
    return {
        "in_time": sorted({one["metric"] for one in facts if not one["is_late"]}),
        "metrics": [one["metric"] for one in facts],
        "scopes": [one["scope"] for one in facts],
    }
