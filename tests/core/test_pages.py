"""Pages are whole by themselves; charts show each number, escape every name, and leave gaps as gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from ocd.core.pages import charts, render
from ocd.core.pages.charts import Series

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def days(*values):
    return tuple((DAY + timedelta(days=number), value) for number, value in enumerate(values))


class Tags(HTMLParser):
    """Counts tags and checks that they close in order."""

    VOID = frozenset({"meta", "br", "link", "rect", "line", "circle", "polyline"})

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], [], [], []
        self.feed(str(page))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_line_chart_shows_every_number_and_breaks_at_a_gap():
    found = Tags(charts.lines("Seconds", [Series("restore", days(3.0, None, 4.0, 5.0))]))

    assert found.open == []
    assert found.seen.count("polyline") == 2
    assert found.seen.count("circle") == 3
    assert {"3", "4", "5", render.UNKNOWN} <= set(found.text)


def test_a_larger_value_stands_higher_and_a_later_one_further_right():
    found = Tags(charts.lines("Rows", [Series("t", days(1.0, 9.0))]))

    (points,) = [
        value for tag, name, value in found.attributes if (tag, name) == ("polyline", "points")
    ]
    (x1, y1), (x2, y2) = [tuple(map(float, pair.split(","))) for pair in points.split()]
    assert x1 < x2
    assert y1 > y2


def test_names_cannot_break_out_of_a_chart():
    page = charts.lines("<script>", [Series('"><img>', days(1.0)), Series("b", days(2.0))])
    page += charts.bars("<b>", [("<i>", 3.0)])

    assert {"script", "img", "b", "i"}.isdisjoint(Tags(page).seen)


def test_several_lines_have_a_legend_and_too_many_are_refused():
    page = charts.lines("Rows", [Series(name, days(1.0)) for name in "ab"])

    assert Tags(page).seen.count("li") == 2
    with pytest.raises(ValueError, match="at most 5"):
        charts.lines("Rows", [Series(name, days(1.0)) for name in "abcdef"])


@pytest.mark.parametrize("series", [[], [Series("a", ())], [Series("a", days(None, None))]])
def test_nothing_known_says_so(series):
    page = charts.lines("Rows", series)

    assert "no values yet" in page
    assert "svg" not in Tags(page).seen


@given(st.lists(st.none() | st.floats(-1e12, 1e12), min_size=1, max_size=30))
def test_every_point_lies_inside_the_drawing(values):
    found = Tags(charts.lines("x", [Series("a", days(*values))]))

    xs = [float(value) for tag, name, value in found.attributes if (tag, name) == ("circle", "cx")]
    ys = [float(value) for tag, name, value in found.attributes if (tag, name) == ("circle", "cy")]
    assert len(xs) == sum(value is not None for value in values)
    assert all(charts.LEFT <= x <= charts.WIDTH - charts.RIGHT for x in xs)
    assert all(charts.TOP - 0.1 <= y <= charts.HEIGHT - charts.BOTTOM + 0.1 for y in ys)


def test_bars_are_as_long_as_their_values():
    found = Tags(charts.bars("Size", [("a", 100.0), ("b", 50.0), ("c", 0.0)]))

    widths = [
        float(value) for tag, name, value in found.attributes if (tag, name) == ("rect", "width")
    ]
    assert widths == [charts.WIDTH, charts.WIDTH / 2, 1.0]


def test_a_page_loads_nothing_and_escapes_values(tmp_path):
    (tmp_path / "mine.html").write_text(
        "{% extends 'frame.html' %}{% block title %}{{ name }}{% endblock %}"
        "{% block content %}<h1>{{ name }}</h1><p>{{ rows | count }} {{ bytes | size }}</p>{% endblock %}"
    )

    page = render.render(
        str(tmp_path / "module.py"), "mine.html", name="<t>", rows=12345, bytes=1.5e6
    ).decode()

    found = Tags(page)
    assert "<h1>&lt;t&gt;</h1><p>12,345 1.5 MB</p>" in page
    assert {"script", "link", "img"}.isdisjoint(found.seen)
    assert not [value for _, name, value in found.attributes if name in {"src", "href"}]


def test_a_page_with_a_missing_value_is_an_error_not_a_hole(tmp_path):
    (tmp_path / "mine.html").write_text("{{ missing }}")

    with pytest.raises(UndefinedError):
        render.render(str(tmp_path / "module.py"), "mine.html")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (render.size(None), render.UNKNOWN),
        (render.size(999), "999 B"),
        (render.size(2_500_000_000_000), "2.5 TB"),
        (render.span(59.4), "59.4 s"),
        (render.span(90), "1.5 min"),
        (render.span(26 * 3600), "26 h"),
        (render.span(86400 * 12), "12 d"),
        (render.instant(DAY), "2026-11-01 00:00 UTC"),
        (render.count(None), render.UNKNOWN),
    ],
)
def test_numbers_in_words(said, expected):
    assert said == expected
