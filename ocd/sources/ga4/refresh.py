"""Replace a day's GA4 partitions by what Google says now."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.errors import PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.ledger.run import Run
from ocd.sources.ga4.client import GaClient, ReportDay
from ocd.sources.ga4.reports import REPORTS, GaReport

log = logging.getLogger(__name__)

#: Google restates standard reports for 24 to 48 hours (GA4 help, data freshness); a day more for the zone.
PROVISIONAL = timedelta(days=3)
_REPLACE = statement(__file__, "replace_partition.sql")


@dataclass(frozen=True)
class RefreshReport:
    """What was refreshed: rows per report, where they came from, whether they may still change."""

    version: ClassVar[int] = 1
    property_id: str
    day: date
    origin: str
    rows_by_report: dict[str, int]
    is_provisional: bool

    @property
    def rows(self) -> int:
        """Rows stored."""
        return sum(self.rows_by_report.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.rows:,} rows of {len(self.rows_by_report)} GA4 reports, {self.origin}{', provisional' if self.is_provisional else ''}"


def refresh(
    conn: Connection,
    client: GaClient,
    *,
    property_id: str,
    origin: str,
    day: date,
    now: datetime,
    run: Run,
) -> RefreshReport:
    """Fetch every report of the day, then replace its partitions in one transaction. Commits once.

    Keeps the old partitions whatever goes wrong. Raises PolicyRefused where recorded data would
    replace live data.
    """
    fetched = [(report, client.run_report(property_id, report, day)) for report in REPORTS]
    is_provisional = now - datetime(day.year, day.month, day.day, tzinfo=now.tzinfo) < PROVISIONAL
    with run.batch(conn) as batch:
        for report, found in fetched:
            _replace(conn, report, found, property_id, origin, day, now, run, is_provisional)
        batch.progress(len(fetched), len(fetched), "reports")
    rows = {report.name: len(found.rows) for report, found in fetched}
    log.info(
        "ga_refreshed", extra={"day": day.isoformat(), "origin": origin, "rows": sum(rows.values())}
    )
    return RefreshReport(property_id, day, origin, rows, is_provisional)


def _replace(
    conn: Connection,
    report: GaReport,
    found: ReportDay,
    property_id: str,
    origin: str,
    day: date,
    now: datetime,
    run: Run,
    is_provisional: bool,
) -> None:
    key: dict[str, Any] = {"property": property_id, "report": report.name, "day": day}
    row = conn.execute(
        _REPLACE,
        key
        | {
            "origin": origin,
            "fetched_at": now,
            "run_id": run.id,
            "row_count": len(found.rows),
            "time_zone": found.time_zone,
            "currency": found.currency,
            "is_provisional": is_provisional,
            "is_thresholded": found.quality.is_thresholded,
            "is_sampled": found.quality.is_sampled,
            "has_other_row": found.quality.has_other_row,
            "has_data_loss": found.quality.has_data_loss,
        },
    ).first()
    if row is None:
        raise PolicyRefused(f"GA4 {report.name} {day}: recorded data never replaces live data")
    conn.execute(text("delete from landing.ga_row where partition_id = :id"), {"id": row.id})
    if found.rows:
        conn.execute(
            text("""
                insert into landing.ga_row (partition_id, row_number, dimensions, metrics)
                values (:id, :number, cast(:dimensions as jsonb), cast(:metrics as jsonb))
            """),
            [
                {
                    "id": row.id,
                    "number": number,
                    "dimensions": json.dumps(dimensions),
                    "metrics": json.dumps(metrics),
                }
                for number, (dimensions, metrics) in enumerate(found.rows, 1)
            ],
        )
