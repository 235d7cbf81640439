"""Decide what changed between two profiles of a table. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ocd.quality.profile.columns import ColumnProfile, TableProfile
from ocd.stats.distance import PSI_LARGE, ks, psi, psi_of

#: With fewer rows on a side chance alone moves shares this far.
LEAST_ROWS = 200
#: The null share moved when it moved by this much.
NULL_STEP = 0.05
#: A table that halves or doubles between two profiles is another table.
ROWS_FACTOR = 2.0


@dataclass(frozen=True)
class Drift:
    """One change: of the rows (no column), of a column's nulls, or of where its values lie.

    `before` and `after` are rows, null shares or means; `size` is the factor, the step, or the PSI.
    """

    dataset: str
    column: str | None
    what: str
    before: float | None
    after: float | None
    size: float
    gap: float | None = None

    @property
    def text(self) -> str:
        """The change in words."""
        name = f"{self.dataset}.{self.column}" if self.column else self.dataset
        if self.what == "values":
            gap = "" if self.gap is None else f", KS {self.gap:.2f}"
            return f"{name}: values moved, PSI {self.size:.2f}{gap}"
        if self.what == "nulls":
            return f"{name}: nulls {self.before:.1%} → {self.after:.1%}"
        return f"{name}: rows {self.before:,.0f} → {self.after:,.0f}"


def compare(before: TableProfile, after: TableProfile) -> tuple[Drift, ...]:
    """Return what changed; nothing is said of columns that only one of the two knows.

    Instants move by themselves and identifiers grow, so where they lie is not compared.
    """
    if min(before.rows, after.rows) < LEAST_ROWS:
        return tuple(_rows(before, after))
    earlier = {one.name: one for one in before.columns}
    found = [*_rows(before, after)]
    for one in after.columns:
        if one.name in earlier and earlier[one.name].kind is one.kind:
            found += [*_nulls(after.dataset, earlier[one.name], one)]
            found += [*_values(after.dataset, earlier[one.name], one)]
    return tuple(sorted(found, key=lambda drift: -drift.size))


def _rows(before: TableProfile, after: TableProfile) -> Iterator[Drift]:
    most, least = max(before.rows, after.rows), max(min(before.rows, after.rows), 1)
    if most >= LEAST_ROWS and most / least >= ROWS_FACTOR:
        yield Drift(after.dataset, None, "rows", before.rows, after.rows, most / least)


def _nulls(dataset: str, before: ColumnProfile, after: ColumnProfile) -> Iterator[Drift]:
    step = abs(after.null_share - before.null_share)
    if step >= NULL_STEP:
        yield Drift(dataset, after.name, "nulls", before.null_share, after.null_share, step)


def _values(dataset: str, before: ColumnProfile, after: ColumnProfile) -> Iterator[Drift]:
    means = (before.stats.get("mean"), after.stats.get("mean"))
    if before.distribution and after.distribution:
        size = psi(before.distribution, after.distribution)
        gap = ks(before.distribution, after.distribution)
        if size >= PSI_LARGE:
            yield Drift(dataset, after.name, "values", *means, size, gap)
    elif before.categories and after.categories:
        size = psi_of(before.categories, after.categories)
        if size >= PSI_LARGE:
            yield Drift(dataset, after.name, "values", None, None, size)
