"""Numbers computed the plain way, to hold what SQL says against."""

from __future__ import annotations


def percentile(numbers, share):
    """Interpolate linearly between the two nearest ranks."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def ratio(part, whole):
    return part / whole if whole else None
