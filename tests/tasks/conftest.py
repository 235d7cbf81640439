"""A night that ran, for the tests that look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shell import Shell


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home in which one night ran, seeded with planted faults; worker and Flower are still up."""
    made = Shell(tmp_path_factory.mktemp("night") / ".ocd")
    made("seed", "--rows", "3000", "--faults")
    made("night", "--keep")
    yield made
    made("down")
