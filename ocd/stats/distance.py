"""How far two distributions lie apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ocd.stats.distribution import Distribution

#: Stands for an empty bin: without it one value that was never seen before is an infinite shift.
FLOOR = 1e-4
#: Below it nothing moved, above the other a lot did: the customary reading of PSI.
PSI_SMALL, PSI_LARGE = 0.1, 0.25
BINS = 10


def ks(before: Distribution, after: Distribution) -> float:
    """Return the Kolmogorov-Smirnov distance: the largest gap of the two shares, from 0 to 1.

    A distance, no test: with a million rows every test finds that yesterday was another day.
    """
    knots = sorted({*before.knots(), *after.knots()})
    at = (abs(before.cdf(one) - after.cdf(one)) for one in knots)
    below = (abs(before.cdf_before(one) - after.cdf_before(one)) for one in knots)
    return max(*at, *below, 0.0)


def psi(before: Distribution, after: Distribution, bins: int = BINS) -> float:
    """Return the population stability index over `bins` equal parts of `before`."""
    cuts = sorted({before.quantile(n / bins) for n in range(1, bins)})
    return psi_of(dict(enumerate(_parts(before, cuts))), dict(enumerate(_parts(after, cuts))))


def psi_of(before: Mapping[Any, float], after: Mapping[Any, float]) -> float:
    """Return the population stability index of shares per category."""
    total = 0.0
    for name in {*before, *after}:
        was, is_now = max(before.get(name, 0.0), FLOOR), max(after.get(name, 0.0), FLOOR)
        total += (is_now - was) * math.log(is_now / was)
    return total


def _parts(one: Distribution, cuts: list[float]) -> list[float]:
    """Return the shares up to each cut, and behind the last."""
    sums = [one.cdf(cut) for cut in cuts]
    return [upper - lower for lower, upper in zip([0.0, *sums], [*sums, 1.0], strict=True)]
