"""Compare two readings of a sitemap, and decide whether to believe the new one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: A sitemap that shrinks by more than this share is held: shops serve broken ones for a day.
MAX_SHRINK = 0.2


@dataclass(frozen=True)
class Diff:
    """What changed, by URL, each sorted; lastmod is no change."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Diff:
    """Return the difference between two {URL: fingerprint}."""
    return Diff(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(loc for loc in after.keys() & before.keys() if after[loc] != before[loc])),
    )


def has_shrunk(before: int, after: int) -> bool:
    """Whether so many URLs went missing that removals are not believed."""
    return after < before * (1 - MAX_SHRINK)


def is_lastmod_uniform(claims: Iterable[str | None]) -> bool:
    """Whether more than half of several URLs claim one and the same lastmod: then it says nothing.

    Shops stamp the instant at which the file was generated on most of their pages.
    """
    counts = Counter(claims)
    total = counts.total()
    del counts[None]
    return total > 1 and any(count * 2 > total for count in counts.values())
