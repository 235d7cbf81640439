"""A whole day of a report out of pages, though Google may restate the day meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from ocd.core.errors import ContractBroken
from ocd.sources.ga4.answers import Page, parse
from ocd.sources.ga4.client import GaClient, Request
from ocd.sources.ga4.reports import GaReport

#: Rows per page, the API's default; its limit is 250,000 (Data API reference, 2026).
PAGE_ROWS = 10_000
#: A day with more pages than this is no day of a shop; it bounds time and quota.
MAX_PAGES = 100
#: A day whose rows shift is fetched once more, then given up.
TRIES = 2


class _Shifted(Exception):
    """Rows moved between two pages."""


def read_day(
    client: GaClient,
    property_id: str,
    report: GaReport,
    day: date,
    *,
    restart: Callable[[], None],
    page_rows: int = PAGE_ROWS,
) -> Iterator[Page]:
    """Yield the pages of a day; `restart` tells that what came so far is void and all comes anew.

    Raises ContractBroken where rows go on shifting.
    """
    for _ in range(TRIES):
        restart()
        try:
            yield from _pages(client, property_id, report, day, page_rows)
        except _Shifted:
            continue
        return
    raise ContractBroken(
        f"GA4 {report.name} {day}: rows shift between pages; Google is restating the day, run it again later"
    )


def _pages(
    client: GaClient, property_id: str, report: GaReport, day: date, page_rows: int
) -> Iterator[Page]:
    """Yield pages that fit together: of one row count, each beginning with the last row of the one before.

    Rows are ordered by their dimensions. One that came or went before a page's begin moves that row away.
    """
    page = _ask(client, property_id, Request(report, day, 0, page_rows))
    yield page
    row_count, seen, count = page.row_count, len(page.rows), 1
    while seen < row_count:
        if count == MAX_PAGES:
            raise ContractBroken(f"GA4 {report.name} {day}: more than {MAX_PAGES} pages")
        if not page.rows:
            raise _Shifted
        last = _key(report, page)
        page = _ask(client, property_id, Request(report, day, seen - 1, page_rows + 1))
        if page.row_count != row_count or _key(report, page, 0) != last:
            raise _Shifted
        page = page.without_first(report)
        yield page
        seen, count = seen + len(page.rows), count + 1
    if seen != row_count:
        raise _Shifted


def _key(report: GaReport, page: Page, place: int = -1) -> tuple[str, ...] | None:
    return page.rows[place][: len(report.dimensions)] if page.rows else None


def _ask(client: GaClient, property_id: str, request: Request) -> Page:
    return parse(request.report, request.day, client.run_report(property_id, request))
