"""The page says what stands, what was held, and nothing that a site could slip into it."""

from __future__ import annotations

from ocd.sources.sitemaps import report
from tests.pages.test_sitemap_report import DAY, DIFF, reading, series


def page(readings, diff=DIFF):
    return report.page("shop.example", readings, diff=diff, now=DAY).decode()


def test_a_held_reading_is_drawn_beside_what_stands():
    text = page(series())

    assert "382 new URLs where 564 stood" in text
    assert "believed" in text
    assert "Added: 60" in text
    assert "and 40 more" in text


def test_the_newest_one_is_told_first_and_a_held_one_as_such():
    held = reading(60, held="3 URLs where 566 stood", urls=3, removed=563)

    assert "Nothing of it counts as added or removed" in page([held, *series()])


def test_what_a_site_says_is_text():
    assert "<script>" not in page(series())
    assert "&lt;script&gt;" in page(series())


def test_a_site_that_was_never_read_has_a_page():
    assert "Not read yet" in page([], None)
