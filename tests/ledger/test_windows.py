"""Windows: half-open, without gaps, the last closed one at any hour, right where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.core.errors import ConfigError
from ocd.ledger.windows import Daily, Every, day_window

HOURLY = Every(timedelta(hours=1))
CALIFORNIA = ZoneInfo("America/Los_Angeles")
#: Zones whose clocks jump at 2 o'clock, over midnight, by half an hour, or sit on quarters of an hour.
ZONES = [
    ZoneInfo(name)
    for name in (
        "America/Los_Angeles",
        "Europe/Berlin",
        "America/Havana",
        "America/Santiago",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/Miquelon",
        "UTC",
    )
]
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
CADENCES = st.one_of(
    st.builds(Daily, st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES)),
    st.builds(
        Every,
        st.sampled_from([timedelta(seconds=2), timedelta(minutes=15), timedelta(hours=1)]),
        st.timedeltas(timedelta(0), timedelta(hours=3)),
    ),
)


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


@pytest.mark.parametrize(
    ("day", "hours", "start"),
    [
        (date(2026, 3, 7), 24, "2026-03-07T08:00+00:00"),
        (date(2026, 3, 8), 23, "2026-03-08T08:00+00:00"),
        (date(2026, 3, 9), 24, "2026-03-09T07:00+00:00"),
        (date(2026, 10, 31), 24, "2026-10-31T07:00+00:00"),
        (date(2026, 11, 1), 25, "2026-11-01T07:00+00:00"),
        (date(2026, 11, 2), 24, "2026-11-02T08:00+00:00"),
    ],
    ids=["before spring", "spring", "after spring", "before autumn", "autumn", "after autumn"],
)
def test_a_shops_day_has_as_many_hours_as_its_clocks_show(day, hours, start):
    window = day_window(day, CALIFORNIA)

    assert window.end - window.start == timedelta(hours=hours)
    assert window.start == datetime.fromisoformat(start)
    assert (window.label, window.day) == (day.isoformat(), day)


@pytest.mark.parametrize("zone", ["America/Havana", "America/Santiago"])
def test_days_meet_where_clocks_jump_over_midnight(zone):
    cadence = Daily(zone=ZoneInfo(zone))
    days = list(cadence.between(cadence.parse("2026-01-01"), cadence.parse("2026-12-31")))

    assert len(days) == 365
    assert all(one.end == other.start for one, other in pairwise(days))


def test_a_day_that_a_zone_skipped_is_no_window():
    with pytest.raises(ConfigError, match="had no such day"):
        Daily(zone=ZoneInfo("Pacific/Apia")).parse("2011-12-30")


@pytest.mark.parametrize("edge", ["2026-03-08", "2026-11-01"], ids=["spring", "autumn"])
def test_four_ticks_an_hour_place_every_shops_day_once_over_a_clock_change(edge):
    cadence = Daily(hour=2, zone=CALIFORNIA)
    first = datetime.fromisoformat(edge).replace(tzinfo=UTC) - timedelta(days=2)

    ticks = (first + timedelta(minutes=15) * number for number in range(4 * 24 * 5))
    placed = sorted({cadence.last_due(tick) for tick in ticks})

    assert all(one.end == other.start for one, other in pairwise(placed))
    assert edge in {window.label for window in placed}


@given(INSTANTS, CADENCES)
def test_every_instant_lies_in_one_window_and_windows_meet(instant, cadence):
    window = cadence.containing(instant)

    assert window.start <= instant < window.end
    assert cadence.after(window).start == window.end
    assert cadence.before(window).end == window.start


@given(INSTANTS, CADENCES)
def test_the_last_closed_window_is_over_and_the_next_is_not(now, cadence):
    window = cadence.last_closed(now)

    assert window.end <= now < cadence.after(window).end


@given(INSTANTS, CADENCES)
def test_the_last_due_window_is_due_and_the_next_is_ahead(now, cadence):
    window = cadence.last_due(now)

    assert cadence.due(window) <= now < cadence.next_due(now)
    assert cadence.next_due(now) == cadence.due(cadence.after(window))


@given(INSTANTS, CADENCES)
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


@pytest.mark.parametrize("cadence", [Daily(), HOURLY], ids=str)
@pytest.mark.parametrize("label", ["", "yesterday", "2026-13-01"])
def test_a_wrong_label_is_a_clear_error(cadence, label):
    with pytest.raises(ConfigError, match="expected"):
        cadence.parse(label)


def test_an_hour_is_not_a_day():
    with pytest.raises(ConfigError, match="is not a day"):
        _ = HOURLY.parse("2026-11-23T05:00Z").day
