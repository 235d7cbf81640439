"""What is expected next, from a few earlier values, unmoved by single odd ones among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ocd.stats.bounds import robust

#: How many robust standard deviations are still usual.
WIDTH = 3.0
#: Fewer earlier values say nothing.
LEAST = 4


@dataclass(frozen=True)
class Expected:
    """The middle of earlier values, and the least and most that is still usual."""

    value: float
    low: float
    high: float

    def holds(self, seen: float) -> bool:
        """Whether it is usual."""
        return self.low <= seen <= self.high


def expected(values: Sequence[float], *, least_spread: float) -> Expected | None:
    """Return what earlier values let expect; None for fewer than LEAST.

    `least_spread`: earlier values that happen to be equal do not make the next one odd.
    """
    if len(values) < LEAST:
        return None
    usual = robust(values, width=WIDTH, floor=WIDTH * least_spread)
    return Expected(median(values), usual.low, usual.high)


def expected_count(values: Sequence[float]) -> Expected | None:
    """Return what to expect of a count of things that come by themselves: it scatters by its root."""
    if len(values) < LEAST:
        return None
    return expected(values, least_spread=math.sqrt(max(median(values), 1.0)))
