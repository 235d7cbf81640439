"""Two backends over the same days: do they give the same rows?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from sqlalchemy import Connection

from ocd.core.errors import ConfigError
from ocd.ledger import incidents
from ocd.ledger.run import Run
from ocd.sources.ga4.client import GaClient
from ocd.sources.ga4.pages import read_day
from ocd.sources.ga4.reports import REPORTS, GaReport

log = logging.getLogger(__name__)

HOW_TO = "docs/how-to/connect-real-ga4.md"
MAX_DAYS = 28

Rows = Mapping[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Pair:
    """Two clients, each with the name of its backend, and the property that both read."""

    one: str
    client: GaClient
    other: str
    other_client: GaClient
    property_id: str
    reports: tuple[GaReport, ...] = REPORTS


@dataclass(frozen=True)
class Difference:
    """How many rows of a report and day only one backend has, and how many have other numbers."""

    report: str
    day: date
    only_one: int
    only_other: int
    other_numbers: int

    @property
    def rows(self) -> int:
        """Rows that differ."""
        return self.only_one + self.only_other + self.other_numbers


@dataclass(frozen=True)
class CompareReport:
    """What was compared, and the reports and days that differ; counts only, never a row's values."""

    version: ClassVar[int] = 1
    one: str
    other: str
    first: date
    last: date
    reports: tuple[str, ...]
    rows: int
    differences: tuple[Difference, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        days = (self.last - self.first).days + 1
        said = f"{self.one} and {self.other} over {days} days and {len(self.reports)} reports: {self.rows:,} rows, "
        wrong = sum(one.rows for one in self.differences)
        return said + (f"{wrong:,} differ" if wrong else "all equal")


def compare(pair: Pair, conn: Connection, *, last: date, days: int, run: Run) -> CompareReport:
    """Read the days up to `last` from both; a difference opens an incident, which closes when there is none.

    Stores no data. Commits once. Raises what the clients raise, and ConfigError for a wrong number of days.
    """
    if not 1 <= days <= MAX_DAYS:
        raise ConfigError(f"--days: expected 1 to {MAX_DAYS}")
    if pair.one == pair.other:
        raise ConfigError(
            f"--backend: {pair.one} is the one that is set; name another to compare it with"
        )
    slices = [
        (report, last - timedelta(days=n)) for n in reversed(range(days)) for report in pair.reports
    ]
    rows, found = 0, []
    for number, (report, day) in enumerate(slices):
        run.progress(number, len(slices), f"{report.name} {day}")
        left = _read(pair.client, pair.property_id, report, day)
        right = _read(pair.other_client, pair.property_id, report, day)
        rows += len(left.keys() | right.keys())
        found.append(_difference(report, day, left, right))
    wrong = tuple(one for one in found if one.rows)
    names = tuple(report.name for report in pair.reports)
    report_ = CompareReport(pair.one, pair.other, slices[0][1], last, names, rows, wrong)
    with run.batch(conn):
        _tell(conn, pair, report_, run)
    log.info("ga_compared", extra={"rows": rows, "slices_that_differ": len(wrong)})
    return report_


def _read(client: GaClient, property_id: str, report: GaReport, day: date) -> Rows:
    rows: dict[tuple[str, ...], tuple[str, ...]] = {}
    width = len(report.dimensions)
    for page in read_day(client, property_id, report, day, restart=rows.clear):
        rows.update((row[:width], row[width:]) for row in page.rows)
    return rows


def _difference(report: GaReport, day: date, left: Rows, right: Rows) -> Difference:
    both = left.keys() & right.keys()
    return Difference(
        report.name,
        day,
        len(left) - len(both),
        len(right) - len(both),
        sum(left[key] != right[key] for key in both),
    )


def _tell(conn: Connection, pair: Pair, found: CompareReport, run: Run) -> None:
    cause = f"ga4 backends:{pair.property_id}:{pair.one}:{pair.other}"
    if found.differences:
        incidents.open_finding(
            conn, cause, run_id=run.id, summary=f"GA4: {found.summary}", how_to=HOW_TO
        )
    else:
        incidents.close(conn, cause)
