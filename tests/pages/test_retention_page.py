"""The page that a night leaves, as axe and people see it."""

from __future__ import annotations

import pytest

from tests.pages.conftest import AXE, CHROMIUM, SCHEMES, WIDTHS

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(AXE is None, reason="no axe: `.ci/run pages` installs it"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_nights_page_is_readable_by_everybody(night, judged, width, scheme):
    (page,) = (night.home / "artifacts" / "pages").glob("retention-*.html")

    found = judged(page.read_bytes(), width=width, scheme=scheme)

    assert found["violations"] == []
    assert not found["is_too_wide"]


def test_it_asks_nothing_from_outside_and_runs_no_script(night, dom):
    (page,) = (night.home / "artifacts" / "pages").glob("retention-*.html")

    shown = dom(f"file://{page}")

    assert "Retention and backups" in shown
    assert not {"<script", "src=", "href=", "url("} & {
        part for part in ("<script", "src=", "href=", "url(") if part in shown
    }
