"""The page of a check as axe sees it: at a desk and on a phone, light and dark, every detail open."""

from __future__ import annotations

import pytest

from ocd.quality.files import load
from ocd.quality.page import page
from tests.factories.clock import NOW
from tests.pages.conftest import AXE, CHROMIUM, SCHEMES, WIDTHS
from tests.quality.test_page import answer

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(AXE is None, reason="no axe: `.ci/run pages` installs it"),
]
GATE = {"dataset": "agent_queries", "summary": "agent_queries.id failed", "closed_at": NOW}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_every_rule_is_readable_by_everybody(judged, width, scheme):
    rules = load()
    answers = [
        answer(one, failed=number % 3, days_ago=days)
        for days in (0, 3)
        for number, one in enumerate(rules)
    ]
    drawn = page(rules, answers, now=NOW, run_id=7, gates=[GATE], stops=["lifecycle.purge"])

    found = judged(drawn.replace(b"<details", b"<details open"), width=width, scheme=scheme)

    assert found["violations"] == []
    assert not found["is_too_wide"]
