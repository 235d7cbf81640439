"""The outside, played on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from ocd.ledger.run import Run
from ocd.sources.ga4.mcp import close_sessions
from tests.fakes.fake_site import FakeSite, fake_site
from tests.fakes.ga4 import Ga4, running_ga4


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
