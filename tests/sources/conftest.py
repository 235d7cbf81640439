"""The outside, played on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from ocd.ledger.run import Run
from tests.fakes.fake_ga4 import FakeGa4, fake_ga4
from tests.fakes.fake_site import FakeSite, fake_site


@pytest.fixture
def ga4() -> Iterator[FakeGa4]:
    """A GA4 Data API."""
    with fake_ga4() as fake:
        yield fake


@pytest.fixture
def site() -> Iterator[FakeSite]:
    """A web site."""
    with fake_site() as fake:
        yield fake


@pytest.fixture
def next_run(start_run: Callable[..., Run]) -> Callable[[], Run]:
    """Start another run each time; one and the same would still be running."""
    numbers = itertools.count()
    return lambda: start_run(subject={"number": next(numbers)})
