"""Spans between weekdays: without gaps, due on these mornings, in the shop's own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.core.errors import ConfigError
from ocd.ledger.weekdays import Weekdays

TWICE = Weekdays((0, 3))
WEST = ZoneInfo("America/Los_Angeles")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_span_reaches_from_monday_to_thursday():
    window = TWICE.containing(utc(2026, 11, 25, 12))

    assert (window.label, window.start, window.end) == (
        "2026-11-23",
        utc(2026, 11, 23),
        utc(2026, 11, 26),
    )


@pytest.mark.parametrize(
    ("now", "label"),
    [
        (utc(2026, 11, 26, 4, 59), "2026-11-19"),
        (utc(2026, 11, 26, 5), "2026-11-23"),
        (utc(2026, 11, 30, 5), "2026-11-26"),
    ],
    ids=["before Thursday morning", "Thursday morning", "Monday morning"],
)
def test_it_is_due_on_thursday_and_monday_mornings(now, label):
    assert TWICE.last_due(now).label == label


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_spans_have_no_gaps(instant):
    window = TWICE.in_zone(WEST).containing(instant)

    assert window.start <= instant < window.end
    assert TWICE.in_zone(WEST).after(window).start == window.end
    assert TWICE.in_zone(WEST).before(window).end == window.start


def test_the_days_are_the_shops():
    window = TWICE.in_zone(WEST).parse("2026-11-23")

    assert window.start == utc(2026, 11, 23, 8)


def test_a_span_over_a_clock_change_is_an_hour_longer():
    window = TWICE.in_zone(WEST).parse("2026-10-29")

    assert window.end - window.start == timedelta(days=4, hours=1)


@pytest.mark.parametrize("label", ["2026-11-24", "monday", ""])
def test_a_label_of_no_span_is_refused(label):
    with pytest.raises(ConfigError):
        TWICE.parse(label)


def test_it_says_when():
    assert str(TWICE) == "Mon and Thu 05:00 UTC"
    assert str(TWICE.in_zone(WEST)) == "Mon and Thu 05:00 after midnight, America/Los_Angeles"
