"""The series of a site's sitemap as a page: what came, what went, what was not believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ocd.core.pages import charts
from ocd.core.pages.charts import Series
from ocd.core.pages.render import render
from ocd.sources.sitemaps.policy import Diff

#: URLs listed of each kind; the whole difference lies beside the page as JSON.
MAX_LISTED = 20
#: Readings in the table; the charts show all that were given.
MAX_ROWS = 60


def page(
    site: str, readings: Sequence[Mapping[str, Any]], *, diff: Diff | None, now: datetime
) -> bytes:
    """Return the page of readings, newest first as `history.readings` gives them; `diff` is the newest's."""
    return render(
        __file__,
        "report.html",
        site=site,
        now=now,
        newest=readings[0] if readings else None,
        rows=readings[:MAX_ROWS],
        more=max(len(readings) - MAX_ROWS, 0),
        figures=_figures(readings),
        changes=_changes(diff) if diff else [],
    )


def _figures(readings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Draw the counts; a held reading is no part of what stands, but seen beside it."""
    series = list(reversed(readings))
    is_held = [one["held_reason"] is not None for one in series]
    stands = [
        (one["taken_at"], None if held else one["url_count"])
        for one, held in zip(series, is_held, strict=True)
    ]
    held = [
        (one["taken_at"], one["url_count"] if held else None)
        for one, held in zip(series, is_held, strict=True)
    ]
    urls = [Series("believed", [point for point in stands if point[1] is not None])]
    if any(is_held):
        urls.append(Series("held", held))
    believed = [one for one in series if one["id"] is not None]

    def counts(name: str, column: str) -> Series:
        return Series(name, [(one["taken_at"], one[column]) for one in believed])

    return [
        charts.lines("URLs", urls),
        charts.lines(
            "Changes per reading",
            [
                counts("added", "added_count"),
                counts("removed", "removed_count"),
                counts("content changed", "changed_count"),
            ],
        ),
        # Apart: it is most of the shop every day, and would flatten everything else.
        charts.lines("Only lastmod changed", [counts("URLs", "lastmod_only_count")]),
    ]


def _changes(diff: Diff) -> list[dict[str, Any]]:
    kinds = {
        "Added": diff.added,
        "Removed": diff.removed,
        "Content changed": diff.content_changed,
        "Only lastmod changed": diff.lastmod_only or (),
    }
    return [
        {"name": name, "count": len(locs), "locs": locs[:MAX_LISTED]}
        for name, locs in kinds.items()
        if locs
    ]
