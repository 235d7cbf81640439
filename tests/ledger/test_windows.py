"""Windows: half-open, UTC, the last closed one at any hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.core.errors import ConfigError
from ocd.ledger.windows import Daily, Hourly

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("now", "label"),
    [
        (datetime(2026, 11, 24, 0, 0, tzinfo=UTC), "2026-11-23"),
        (datetime(2026, 11, 24, 23, 59, tzinfo=UTC), "2026-11-23"),
        (datetime(2026, 11, 24, 1, 0, tzinfo=timezone(timedelta(hours=5))), "2026-11-22"),
    ],
    ids=["midnight", "before midnight", "another zone"],
)
def test_tonight_is_the_last_closed_day(now, label):
    assert Daily().last_closed(now).label == label


@given(INSTANTS, st.sampled_from([Daily(), Hourly()]))
def test_the_last_closed_window_is_over_and_the_next_is_not(now, cadence):
    window = cadence.last_closed(now)

    assert window.end <= now < window.end + (window.end - window.start)


@given(INSTANTS, st.sampled_from([Daily(2), Hourly(5)]))
def test_the_next_tick_is_ahead(now, cadence):
    assert cadence.next_due(now) > now


@given(INSTANTS, st.sampled_from([Daily(), Hourly()]))
def test_a_label_names_its_window(now, cadence):
    window = cadence.last_closed(now)

    assert cadence.parse(window.label) == window


def test_a_range_includes_both_ends():
    first, last = Daily().parse("2026-02-27"), Daily().parse("2026-03-01")

    assert [window.label for window in Daily().between(first, last)] == [
        "2026-02-27",
        "2026-02-28",
        "2026-03-01",
    ]


@pytest.mark.parametrize("label", ["", "yesterday", "2026-13-01"])
def test_a_wrong_label_is_a_clear_error(label):
    with pytest.raises(ConfigError, match="expected"):
        Daily().parse(label)
