"""Compare two readings of a sitemap, and decide whether to believe the new one. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: More than this share of a site's URLs lost, replaced or new at once is held: shops serve broken
#: sitemaps for a day, and a person can tell a relaunch from a fault.
MAX_SHARE = 0.2
#: So few new or replaced URLs are believed whatever their share: a shop of ten may get five more.
FEW = 10


@dataclass(frozen=True)
class Diff:
    """What changed, by URL, each sorted. `lastmod_only` is None where the earlier claims are gone."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    content_changed: tuple[str, ...]
    lastmod_only: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Doubt:
    """Why a reading is not believed; `fingerprint` names the very pages that it lists."""

    reason: str
    added: int
    removed: int
    fingerprint: str

    @property
    def asks(self) -> dict[str, int]:
        """How much an approval would allow."""
        return {"added": self.added, "removed": self.removed}


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Diff:
    """Return the difference between two {URL: fingerprint}."""
    return Diff(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(loc for loc in after.keys() & before.keys() if after[loc] != before[loc])),
    )


def doubt(
    before: Collection[str],
    after: Collection[str],
    diff: Diff,
    *,
    files_before: Mapping[str, int] | None = None,
    files_after: Mapping[str, int] | None = None,
) -> Doubt | None:
    """Say why a reading changed too much to be believed, None where it may be.

    `files` are the URLs per file: one that is empty now or not named any more is a fault of the
    shop far more often than the end of all its pages.
    """
    if not before:
        return None
    reason = _reason(len(before), len(after), diff) or _lost_file(
        files_before or {}, files_after or {}, len(diff.removed)
    )
    if reason is None:
        return None
    return Doubt(reason, len(diff.added), len(diff.removed), fingerprint_of(after))


def _reason(before: int, after: int, diff: Diff) -> str | None:
    much = max(before * MAX_SHARE, FEW)
    if after < before * (1 - MAX_SHARE):
        return f"{after:,} URLs where {before:,} stood"
    if len(diff.removed) > much:
        return f"{len(diff.removed):,} of {before:,} URLs replaced at once"
    if len(diff.added) > much:
        return f"{len(diff.added):,} new URLs where {before:,} stood"
    return None


def _lost_file(before: Mapping[str, int], after: Mapping[str, int], removed: int) -> str | None:
    lost = [name for name, count in before.items() if count and not after.get(name)]
    urls = sum(before[name] for name in lost)
    if urls and removed >= urls:
        return f"{len(lost)} of {len(before)} files with {urls:,} URLs are empty or gone"
    return None


def fingerprint_of(locs: Iterable[str]) -> str:
    """Return one hash of a set of URLs."""
    return hashlib.sha256("\n".join(sorted(locs)).encode()).hexdigest()


def is_lastmod_uniform(claims: Iterable[str | None]) -> bool:
    """Whether more than half of several URLs claim one and the same lastmod: then it says nothing.

    Shops stamp the instant at which the file was generated on most of their pages.
    """
    counts = Counter(claims)
    total = counts.total()
    del counts[None]
    return total > 1 and any(count * 2 > total for count in counts.values())
