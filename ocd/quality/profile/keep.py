"""Profile tables, keep what was measured, and compare it with the last time."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset
from ocd.ledger.run import Run
from ocd.quality.profile.columns import ColumnProfile, TableProfile, kind_of
from ocd.quality.profile.drift import Drift, compare
from ocd.quality.profile.measure import measure

log = logging.getLogger(__name__)

_NEWEST = statement(__file__, "newest_profile.sql")
#: Changes that the evidence names; all can be had again from the kept profiles.
EVIDENCE_DRIFTS = 40


@dataclass(frozen=True)
class ProfileReport:
    """How much was profiled, and what changed since the last profile, most first."""

    version: ClassVar[int] = 1
    rows: int
    tables: int
    columns: int
    changed: int
    drifts: tuple[Drift, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        said = f"{self.columns} columns of {self.tables} tables over {self.rows:,} rows"
        worst = "; ".join(one.text for one in self.drifts[:3])
        return f"{said}: {self.changed} changed ({worst})" if self.changed else f"{said}: no drift"


def profile(
    conn: Connection, datasets: Sequence[Dataset], *, run: Run, now: datetime
) -> ProfileReport:
    """Profile each table in one scan, keep it with the run, compare it with the newest before.

    A second attempt of the run puts its own in the place of what the first one kept. Commits per table.
    """
    drifts: list[Drift] = []
    rows = columns = 0
    for number, dataset in enumerate(datasets, start=1):
        with run.batch(conn) as batch:
            found = measure(conn, dataset, now=now)
            before = newest(conn, dataset, but_run=run.id)
            _keep(conn, found, run)
            batch.progress(number, len(datasets), "tables")
        drifts += compare(before, found) if before else ()
        rows, columns = rows + found.rows, columns + len(found.columns)
    drifts.sort(key=lambda one: -one.size)
    log.info("profiled", extra={"tables": len(datasets), "drifts": len(drifts)})
    return ProfileReport(rows, len(datasets), columns, len(drifts), tuple(drifts[:EVIDENCE_DRIFTS]))


def newest(conn: Connection, dataset: Dataset, *, but_run: int = 0) -> TableProfile | None:
    """Return the newest kept profile of a dataset; None where there is none."""
    rows = conn.execute(_NEWEST, {"dataset": dataset.name, "run_id": but_run}).all()
    if not rows:
        return None
    types = {one.name: one.type for one in dataset.columns}
    columns = tuple(
        ColumnProfile(
            row.column_name, kind_of(types[row.column_name]), row.rows, row.nulls, row.stats
        )
        for row in rows
        if row.column_name in types
    )
    return TableProfile(dataset.name, rows[0].rows, columns, rows[0].profiled_at)


def _keep(conn: Connection, found: TableProfile, run: Run) -> None:
    conn.execute(
        text("delete from ocd.column_profile where run_id = :run_id and dataset = :dataset"),
        {"run_id": run.id, "dataset": found.dataset},
    )
    conn.execute(
        text("""
            insert into ocd.column_profile (run_id, dataset, column_name, rows, nulls, stats, profiled_at)
            values (:run_id, :dataset, :column_name, :rows, :nulls, cast(:stats as jsonb), :profiled_at)
        """),
        [_row(found, one, run) for one in found.columns],
    )


def _row(found: TableProfile, one: ColumnProfile, run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "dataset": found.dataset,
        "column_name": one.name,
        "rows": one.rows,
        "nulls": one.nulls,
        "stats": json.dumps(dict(one.stats)),
        "profiled_at": found.profiled_at,
    }
