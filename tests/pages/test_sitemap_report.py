"""The series of a sitemap as a page, judged by axe in a headless Chromium."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ocd.sources.sitemaps import report
from ocd.sources.sitemaps.policy import Diff
from tests.pages.conftest import AXE, CHROMIUM, SCHEMES, WIDTHS

DAY = datetime(2026, 10, 1, 2, tzinfo=UTC)

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(AXE is None, reason="no axe: `.ci/run pages` installs it"),
]


def reading(day, *, held=None, urls=560, added=0, removed=0):
    return {
        "id": None if held else day + 1,
        "site": "shop.example",
        "taken_at": DAY + timedelta(days=day),
        "run_id": day,
        "url_count": urls,
        "file_count": None if held else 5,
        "added_count": added,
        "removed_count": removed,
        "changed_count": None if held else day % 5,
        "lastmod_only_count": None if held else 540,
        "not_modified_count": None if held else 1,
        "soft_404_count": None if held else day % 2,
        "is_lastmod_uniform": None if held else True,
        "held_reason": held,
    }


def series():
    """Two months, newest first, with a day that jumped."""
    days = [reading(day, urls=560 + day // 9, added=day % 3, removed=day % 2) for day in range(60)]
    days[40] = reading(40, held="382 new URLs where 564 stood", urls=946, added=382)
    return days[::-1]


DIFF = Diff(
    added=tuple(
        f"https://shop.example/products/a-part-with-a-rather-long-name-{n}" for n in range(60)
    ),
    removed=("https://shop.example/pages/<script>alert(1)</script>",),
    content_changed=(),
    lastmod_only=("https://shop.example/",),
)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_series_is_readable_by_everybody(judged, width, scheme):
    page = report.page("shop.example", series(), diff=DIFF, now=DAY)

    found = judged(page, width=width, scheme=scheme)

    assert found["violations"] == []
    assert not found["is_too_wide"]
