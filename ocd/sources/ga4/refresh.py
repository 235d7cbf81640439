"""Replace a day's GA4 partitions by what Google says now."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar

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
_INSERT_ROW = statement(__file__, "insert_row.sql")


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
        provisional = ", provisional" if self.is_provisional else ""
        return f"{self.rows:,} rows of {len(self.rows_by_report)} GA4 reports, {self.origin}{provisional}"


@dataclass(frozen=True)
class _Head:
    """What every partition of one refresh has in common."""

    property: str
    day: date
    origin: str
    fetched_at: datetime
    run_id: int
    is_provisional: bool


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

    Keeps the old partitions whatever goes wrong. Raises what the client raises, and PolicyRefused
    where recorded data would replace live data.
    """
    fetched: list[tuple[GaReport, ReportDay]] = []
    for report in REPORTS:
        fetched.append((report, client.run_report(property_id, report, day)))
        run.progress(len(fetched), len(REPORTS), "reports fetched")
    head = _Head(property_id, day, origin, now, run.id, is_provisional(day, now))
    with run.batch(conn) as batch:
        for report, found in fetched:
            _replace(conn, head, report, found)
        batch.progress(len(fetched), len(fetched), "reports")
    rows = {report.name: len(found.rows) for report, found in fetched}
    log.info(
        "ga_refreshed",
        extra={"day": day.isoformat(), "origin": origin, "rows": sum(rows.values())},
    )
    return RefreshReport(property_id, day, origin, rows, head.is_provisional)


def is_provisional(day: date, now: datetime) -> bool:
    """Whether Google may still restate the day."""
    return now - datetime(day.year, day.month, day.day, tzinfo=UTC) < PROVISIONAL


def _replace(conn: Connection, head: _Head, report: GaReport, found: ReportDay) -> None:
    values = asdict(head) | asdict(found.quality)
    values |= {"report": report.name, "row_count": len(found.rows)}
    values |= {"time_zone": found.time_zone, "currency": found.currency}
    partition = conn.execute(_REPLACE, values).scalar()
    if partition is None:
        raise PolicyRefused(
            f"GA4 {report.name} {head.day}: live data stands there and recorded data never replaces it; "
            "set OCD_GA_BACKEND=rest"
        )
    conn.execute(text("delete from landing.ga_row where partition_id = :id"), {"id": partition})
    rows = [
        {
            "partition": partition,
            "number": number,
            "dimensions": json.dumps(dimensions),
            "metrics": json.dumps(metrics),
        }
        for number, (dimensions, metrics) in enumerate(found.rows, 1)
    ]
    if rows:
        conn.execute(_INSERT_ROW, rows)
