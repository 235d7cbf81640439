"""The outside, played on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
