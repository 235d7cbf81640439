"""The outside, played on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from ocd.ledger.run import Run
from ocd.sources.ga4.mcp import close_sessions
from ocd.sources.sitemaps.snapshot import SnapshotReport, snapshot
from tests.factories.clock import NOW
from tests.fakes.ga4 import Ga4, running_ga4
from tests.fakes.site import FakeSite, fake_site


@pytest.fixture(scope="session")
def ga4_process() -> Iterator[Ga4]:
    with running_ga4() as fake:
        yield fake
        close_sessions()  # MCP servers live as long as the process that uses them


@pytest.fixture
def ga4(ga4_process: Ga4) -> Ga4:
    """A GA4 Data API that nothing was asked of yet."""
    ga4_process.forget()
    return ga4_process


@pytest.fixture
def site() -> Iterator[FakeSite]:
    """A web site."""
    with fake_site() as fake:
        yield fake


@pytest.fixture
def next_run(start_run: Callable[..., Run]) -> Callable[..., Run]:
    """Start another run each time; one and the same would still be running."""
    numbers = itertools.count()
    return lambda window="2026-11-23": start_run(window=window, subject={"number": next(numbers)})


@pytest.fixture
def take(
    conn: Connection, site: FakeSite, next_run: Callable[[], Run], keeper_for: Callable[..., Any]
) -> Callable[..., SnapshotReport]:
    """Take a snapshot of the site's /sitemap.xml; each one a day later. `take.runs` are the runs."""
    runs: list[Run] = []
    days = itertools.count(1)

    def go(run: Run | None = None, **changed: Any) -> SnapshotReport:
        runs.append(run or next_run())
        options = {
            "site_url": f"{site.url}/sitemap.xml",
            "allow_hosts": (site.host,),
            "sample_pages": 0,
            "now": NOW + timedelta(days=next(days)),
            "run": runs[-1],
            "keeper": keeper_for(runs[-1]),
        }
        return snapshot(conn, **(options | changed))

    go.runs = runs
    return go


@pytest.fixture
def ask(conn: Connection) -> Callable[[str], list[tuple[Any, ...]]]:
    """Return the rows of a query."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        found = [tuple(row) for row in conn.execute(text(query))]
        conn.rollback()
        return found

    return rows
