"""Roll a day's agent rows up into metric facts."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, Row

from ocd.core.sqlfiles import statement
from ocd.datasets.agents import SLOW_MS, WINDOW
from ocd.ledger.run import Run

log = logging.getLogger(__name__)

_QUERIES = statement(__file__, "measure_queries.sql")
_APPROVALS = statement(__file__, "measure_approvals.sql")
_UPSERT = statement(__file__, "upsert_metric.sql")
_DELETE_ABSENT = statement(__file__, "delete_absent_scopes.sql")


@dataclass(frozen=True)
class RollupReport:
    """How many facts were written, of which metrics, over how many agents.

    `is_late`: the period is older than the shortest retention, so its rows may be purged. Facts that
    were computed in time stayed; new ones say `is_late` in their inputs.
    """

    version: ClassVar[int] = 1
    rows: int
    metrics: tuple[str, ...]
    scopes: int
    is_late: bool = False

    @property
    def summary(self) -> str:
        """One line for people."""
        text = f"{self.rows} facts of {len(self.metrics)} metrics over {self.scopes} agents"
        return f"{text}; the period is past retention" if self.is_late else text


def rollup(conn: Connection, *, run: Run, now: datetime) -> RollupReport:
    """Compute and write every metric of the run's window. Commits once; twice writes the same rows."""
    period = {"start": run.window.start, "end": run.window.end}
    is_late = now > run.window.start + WINDOW
    with run.batch(conn) as batch:
        found: list[Row[Any]] = [
            *conn.execute(_QUERIES, period | {"slow_ms": SLOW_MS}),
            *conn.execute(_APPROVALS, period),
        ]
        stamp = period | {"run_id": run.id, "computed_at": now, "is_late": is_late}
        written = conn.execute(_UPSERT, [_fact(row, is_late) | stamp for row in found]).rowcount
        if not is_late:
            conn.execute(_DELETE_ABSENT, period | _present(found))
        batch.progress(len(found), len(found), "facts")
    log.info("rolled_up", extra={"facts": written, "is_late": is_late})
    return RollupReport(
        written,
        tuple(sorted({row.metric for row in found})),
        len({row.scope for row in found} - {""}),
        is_late,
    )


def _fact(row: Row[Any], is_late: bool) -> dict[str, Any]:
    inputs = row.inputs | {"is_late": True} if is_late else row.inputs
    return {
        "metric": row.metric,
        "scope": row.scope,
        "value": row.value,
        "unit": row.unit,
        "inputs": json.dumps(inputs),
        "reason": row.reason,
    }


def _present(found: list[Row[Any]]) -> dict[str, Any]:
    """The metrics and scopes that this period has."""
    return {
        "metrics": sorted({row.metric for row in found}),
        "scopes": sorted({row.scope for row in found}),
    }
