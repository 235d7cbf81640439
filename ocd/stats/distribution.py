"""A distribution in little: values that many rows share, and equally filled buckets for the rest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Distribution:
    """Shares of a column's values: `points` (value, share) and, for what is left, `bounds`.

    `bounds` are ascending edges of buckets that hold equally much each; within one, values are taken
    to lie evenly. Both may be empty, not at once. Nulls are no part of it.
    """

    points: tuple[tuple[float, float], ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def spread_share(self) -> float:
        """Share of the values that lie in the buckets."""
        return max(0.0, 1.0 - sum(share for _, share in self.points)) if self.bounds else 0.0

    def cdf(self, value: float) -> float:
        """Return the share of values up to and including this one."""
        at = sum(share for point, share in self.points if point <= value)
        return min(1.0, at + self.spread_share * _share_below(self.bounds, value))

    def cdf_before(self, value: float) -> float:
        """Return the share of values below this one."""
        at = sum(share for point, share in self.points if point < value)
        return min(1.0, at + self.spread_share * _share_below(self.bounds, value, is_open=True))

    def quantile(self, share: float) -> float:
        """Return the least known value that at least this share of values does not exceed."""
        low, high = 0, len(knots := self.knots()) - 1
        while low < high:
            middle = (low + high) // 2
            if self.cdf(knots[middle]) >= share - 1e-12:
                high = middle
            else:
                low = middle + 1
        return self._between(knots[low - 1], knots[low], share) if low else knots[0]

    def knots(self) -> list[float]:
        """Return every value at which the distribution bends or jumps, ascending."""
        return sorted({value for value, _ in self.points} | set(self.bounds))

    def _between(self, left: float, right: float, share: float) -> float:
        """Return where between two knots the share is reached; a jump is reached at its value."""
        below, before = self.cdf(left), self.cdf_before(right)
        if share >= before or before <= below:
            return right
        return left + (right - left) * (share - below) / (before - below)


def of_values(values: Sequence[float], buckets: int = 100) -> Distribution:
    """Return the distribution of these values; raises ValueError for none."""
    if not values:
        raise ValueError("a distribution of no values")
    ordered = sorted(values)
    last = len(ordered) - 1
    if last == 0:
        return Distribution(points=((ordered[0], 1.0),))
    edges = min(buckets, last)
    return Distribution(bounds=tuple(ordered[round(n * last / edges)] for n in range(edges + 1)))


def _share_below(bounds: Sequence[float], value: float, *, is_open: bool = False) -> float:
    """Return the share of equally filled buckets that lies at or below the value (below, if open)."""
    if not bounds:
        return 0.0
    if len(bounds) == 1:
        return float(bounds[0] < value if is_open else bounds[0] <= value)
    # Edges that repeat are a heap of equal values: all of it counts at the value, none of it below.
    place = bisect_left(bounds, value) if is_open else bisect_right(bounds, value)
    if place == 0:
        return 0.0
    if place == len(bounds):
        return 1.0
    left, right = bounds[place - 1], bounds[place]
    within = (value - left) / (right - left) if right > left else 1.0
    return (place - 1 + within) / (len(bounds) - 1)
