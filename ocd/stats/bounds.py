"""Bounds of what is usual, that a few odd values among the past do not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

#: Fewer earlier values than this say nothing.
MIN_POINTS = 8
#: So many values of the same weekday are enough to compare with that weekday only.
MIN_SAME_DAY = 4
#: Half-width in robust standard deviations; of normal values, one in 16,000 lies outside.
WIDTH = 4.0
#: Makes the median absolute deviation of normal values equal to their standard deviation.
_NORMAL = 1.4826


@dataclass(frozen=True)
class Bounds:
    """Values from low to high are usual."""

    low: float
    high: float

    def hold(self, value: float) -> bool:
        """Whether the value is usual."""
        return self.low <= value <= self.high


def robust(values: Sequence[float], *, width: float = WIDTH, floor: float = 0.0) -> Bounds:
    """Return median ± width times the robust deviation, but at least ± floor."""
    middle = median(values)
    deviation = _NORMAL * median(abs(one - middle) for one in values)
    half = max(width * deviation, floor)
    return Bounds(middle - half, middle + half)


def seasonal(
    points: Sequence[tuple[datetime, float]], at: datetime, *, floor_share: float = 0.05
) -> Bounds | None:
    """Return what is usual at `at`, None while too little is known.

    Against the same weekday where there are MIN_SAME_DAY values of it, else against all. A value within
    `floor_share` of the middle is always usual: constant series have no deviation.
    """
    if len(points) < MIN_POINTS:
        return None
    same = [value for when, value in points if when.weekday() == at.weekday()]
    values = same if len(same) >= MIN_SAME_DAY else [value for _, value in points]
    return robust(values, floor=floor_share * abs(median(values)))
