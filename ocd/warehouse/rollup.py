"""Roll a day's agent rows up into metric facts."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection

from ocd.core.sqlfiles import statement
from ocd.datasets.agents import SLOW_MS
from ocd.ledger.run import Run

log = logging.getLogger(__name__)

_QUERIES = statement(__file__, "measure_queries.sql")
_APPROVALS = statement(__file__, "measure_approvals.sql")
_UPSERT = statement(__file__, "upsert_metric.sql")


@dataclass(frozen=True)
class RollupReport:
    """How many facts were written, of which metrics."""

    version: ClassVar[int] = 1
    rows: int
    metrics: tuple[str, ...]
    scopes: int

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.rows} facts of {len(self.metrics)} metrics over {self.scopes} agents"


def rollup(conn: Connection, *, run: Run, now: datetime) -> RollupReport:
    """Compute and write every metric of the run's window. Commits once; twice writes the same rows."""
    period = {"start": run.window.start, "end": run.window.end}
    with run.batch(conn) as batch:
        found: list[Any] = [
            *conn.execute(_QUERIES, period | {"slow_ms": SLOW_MS}),
            *conn.execute(_APPROVALS, period),
        ]
        conn.execute(
            _UPSERT,
            [
                period
                | {
                    "metric": row.metric,
                    "scope": row.scope,
                    "value": row.value,
                    "unit": row.unit,
                    "inputs": json.dumps(row.inputs),
                    "reason": row.reason,
                    "run_id": run.id,
                    "computed_at": now,
                }
                for row in found
            ],
        )
        batch.progress(len(found), len(found), "facts")
    log.info("rolled_up", extra={"facts": len(found)})
    return RollupReport(
        len(found),
        tuple(sorted({row.metric for row in found})),
        len({row.scope for row in found} - {""}),
    )
