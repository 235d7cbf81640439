"""Replace a day's GA4 partitions by what Google says now, and those of the days before while they may change."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar

from sqlalchemy import Connection

from ocd.core.errors import TooEarly
from ocd.core.sqlfiles import statement
from ocd.ledger import incidents
from ocd.ledger.run import Run
from ocd.sources.ga4 import policy
from ocd.sources.ga4.client import GaClient
from ocd.sources.ga4.metered import add_usage
from ocd.sources.ga4.pages import PAGE_ROWS, read_day
from ocd.sources.ga4.partition import Head, replace
from ocd.sources.ga4.reports import REPORTS, GaReport
from ocd.sources.ga4.spool import Spool

log = logging.getLogger(__name__)

HOW_TO = "docs/how-to/refresh-ga.md"
_LIST_STORED = statement(__file__, "list_stored.sql")
_FIND_ZONE = statement(__file__, "find_zone.sql")


@dataclass(frozen=True)
class Source:
    """Which property is read, through which client, and what its data is: `live` or `recorded`."""

    client: GaClient
    property_id: str
    origin: str
    reports: tuple[GaReport, ...] = REPORTS
    page_rows: int = PAGE_ROWS


@dataclass(frozen=True)
class RefreshReport:
    """What was refreshed: rows per report of the day, and what became of the days before."""

    version: ClassVar[int] = 2
    property_id: str
    day: date
    origin: str
    rows_by_report: dict[str, int]
    is_provisional: bool
    read_again: int
    restated: int

    @property
    def rows(self) -> int:
        """Rows stored of the day."""
        return sum(self.rows_by_report.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        said = f"{self.rows:,} rows of {len(self.rows_by_report)} GA4 reports, {self.origin}"
        said += ", provisional" if self.is_provisional else ""
        again = f", {self.read_again} read again" if self.read_again else ""
        return said + again + (f", {self.restated} restated" if self.restated else "")


def refresh(
    conn: Connection, source: Source, *, day: date, now: datetime, run: Run
) -> RefreshReport:
    """Fetch every report of the day and replace its partition, then those of earlier days that may have changed.

    Commits after each partition, and goes on there when the run is taken up again. A partition that
    could not be fetched stays as it was. Raises what the client raises, PolicyRefused where recorded
    data would replace live data, and TooEarly while the day goes on in the property's time zone: a
    part of a day would look like a loss.
    """
    stored = _stored(conn, source, day)
    again = policy.to_read_again(day, stored, now)
    work = _Refresh(conn, source, now, run)
    conn.rollback()  # no transaction stays open while Google answers
    work.require_over(day)
    work.take_all([_Slice(report.name, day) for report in source.reports])
    rows = dict(work.rows)
    work.take_all([_Slice(one.report, one.day) for one in again])
    work.count_slices(kept=len(stored) - len(again))
    log.info(
        "ga_refreshed",
        extra={"day": day.isoformat(), "origin": source.origin, "rows": sum(rows.values())},
    )
    return RefreshReport(
        source.property_id,
        day,
        source.origin,
        rows,
        policy.is_provisional(day, now),
        len(again),
        work.restated,
    )


def _stored(conn: Connection, source: Source, day: date) -> list[policy.Stored]:
    rows = conn.execute(
        _LIST_STORED,
        {
            "property": source.property_id,
            "origin": source.origin,
            "reports": [report.name for report in source.reports],
            "first": day - timedelta(days=policy.trailing_days(day)),
            "day": day,
        },
    )
    return [policy.Stored(*row) for row in rows]


@dataclass(frozen=True)
class _Slice:
    """One report of one day: what is fetched whole and committed whole."""

    report: str
    day: date


class _Refresh:
    """Takes slice after slice; remembers in the run's checkpoint which reports of its day are stored."""

    def __init__(self, conn: Connection, source: Source, now: datetime, run: Run) -> None:
        self._conn, self._source, self._now, self._run = conn, source, now, run
        self._reports = {report.name: report for report in source.reports}
        self.rows: dict[str, int] = dict((run.checkpoint or {}).get("rows", {}))
        self.restated = self._read = 0
        place = {"property": source.property_id, "origin": source.origin}
        known = conn.execute(_FIND_ZONE, place).first()
        self._zone: str | None = known.time_zone if known else None
        self._currency: str | None = known.currency if known else None

    def require_over(self, day: date) -> None:
        """Raise TooEarly while the day goes on, as far as the zone is known; a recording stands for any day."""
        left_s = (policy.ends_at(day, self._zone) - self._now).total_seconds()
        if left_s > 0 and self._source.origin == "live":
            raise TooEarly(
                f"GA4: {day} is not over in {self._zone or 'UTC'}, the property's time zone; read in {left_s:,.0f} s",
                retry_after_s=left_s,
            )

    def take_all(self, slices: Sequence[_Slice]) -> None:
        """Fetch and store each; what an earlier attempt stored of the run's own day is left out."""
        for number, one in enumerate(slices):
            self._run.progress(number, len(slices), f"{one.report} {one.day}")
            if not self._is_stored(one):
                with closing(Spool(self._reports[one.report])) as spool:
                    self._fetch(one, spool)
                    self._store(one, spool)

    def count_slices(self, *, kept: int) -> None:
        """Note how many partitions were asked for, and how many were good as they stood."""
        with self._run.batch(self._conn):
            add_usage(
                self._conn,
                self._source.property_id,
                self._now,
                slices_read=self._read,
                slices_kept=kept,
            )

    def _is_stored(self, one: _Slice) -> bool:
        return one.day == self._run.window.day and one.report in self.rows

    def _fetch(self, one: _Slice, spool: Spool) -> None:
        source, report = self._source, self._reports[one.report]
        for page in read_day(
            source.client,
            source.property_id,
            report,
            one.day,
            restart=spool.restart,
            page_rows=source.page_rows,
        ):
            spool.add(page)
            self._run.check()
        self._read += 1

    def _store(self, one: _Slice, spool: Spool) -> None:
        is_live = self._source.origin == "live"
        changes = list(self._changes(spool)) if is_live else []
        self._zone = spool.time_zone or self._zone
        self._currency = spool.currency or self._currency
        self.require_over(one.day)  # in a zone that was not known before
        head = Head(
            self._source.property_id,
            one.report,
            one.day,
            self._source.origin,
            self._now,
            self._run.id,
            policy.is_provisional(one.day, self._now),
        )
        with self._run.batch(self._conn) as batch:
            self.restated += replace(self._conn, head, spool)
            for cause, summary in changes:
                incidents.open_finding(
                    self._conn, cause, run_id=self._run.id, summary=summary, how_to=HOW_TO
                )
            if one.day == self._run.window.day:
                self.rows[one.report] = spool.row_count
            batch.checkpoint = {"rows": self.rows}

    def _changes(self, spool: Spool) -> Iterator[tuple[str, str]]:
        """Yield cause and words where the property counts its days or money otherwise than before."""
        name = self._source.property_id
        for what, before, after in (
            ("time zone", self._zone, spool.time_zone),
            ("currency", self._currency, spool.currency),
        ):
            if before and after and before != after:
                summary = (
                    f"GA4 property {name}: its {what} changed from {before} to {after}; "
                    "days before and after do not compare"
                )
                yield f"ga4 {what}:{name}", summary
