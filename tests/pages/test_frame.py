"""The frame and the charts that every page of ours is made of, judged by axe in a headless Chromium."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ocd.core.pages import charts, render
from ocd.core.pages.charts import Series
from tests.pages.conftest import AXE, CHROMIUM, SCHEMES, WIDTHS

DAY = datetime(2026, 11, 1, tzinfo=UTC)

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(AXE is None, reason="no axe: `.ci/run pages` installs it"),
]


def page(
    tmp_path, content="{{ lines }}{{ bars }}<p class='bad'>bad <span class='warn'>warn</span></p>"
):
    (tmp_path / "mine.html").write_text(
        "{% extends 'frame.html' %}{% block title %}Sample{% endblock %}"
        f"{{% block content %}}<h1>Sample</h1>{content}{{% endblock %}}"
    )
    series = [
        Series(name, tuple((DAY + timedelta(days=day), day * 1e6) for day in range(5)))
        for name in ("agent_queries", "observability_logs", "c", "d", "e")
    ]
    return render.render(
        str(tmp_path / "module.py"),
        "mine.html",
        lines=charts.lines("Bytes", series, shown=render.size),
        bars=charts.bars("Sizes", [("a_table_with_a_rather_long_name", 5.0), ("b", 2.0)]),
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_frame_and_charts_are_readable_by_everybody(judged, tmp_path, width, scheme):
    found = judged(page(tmp_path), width=width, scheme=scheme)

    assert found["violations"] == []
    assert not found["is_too_wide"]
    assert found["passes"] > 10


def test_the_judge_finds_what_is_wrong(judged, tmp_path):
    found = judged(
        page(
            tmp_path,
            "<p style='color: #bbb'>pale</p><img src='data:,'><div style='width: 2000px'>.</div>",
        )
    )

    assert {one["id"] for one in found["violations"]} >= {"color-contrast", "image-alt"}
    assert found["is_too_wide"]
