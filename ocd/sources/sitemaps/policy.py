"""Compare two readings of a sitemap, and decide whether to believe the new one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: A sitemap that shrinks or jumps by more than this share is held: shops serve broken ones for a day.
MAX_SHRINK = 0.2
MIN_URLS = 20


@dataclass(frozen=True)
class Diff:
    """What changed, by URL; lastmod is no change."""

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


def is_suspicious(before: int, after: int) -> bool:
    """Whether the number of URLs fell by more than MAX_SHRINK (small sites are believed)."""
    return before >= MIN_URLS and after < before * (1 - MAX_SHRINK)
