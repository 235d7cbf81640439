"""Which windows are made up for: a table of cases, and the limits as properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.ledger.policy import LAST, NONE, all_up_to, windows_in_reach
from ocd.ledger.windows import Cadence, Daily

DAILY = Daily(hour=2)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
#: Well after the tick of this day, whose newest due window is the 23rd.
MORNING = datetime(2026, 11, 24, 9, tzinfo=UTC)


def labels(catch_up, *, since=LONG_AGO, now=MORNING):
    return [window.label for window in windows_in_reach(DAILY, catch_up, since=since, now=now)]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (NONE, []),
        (LAST, ["2026-11-23"]),
        (all_up_to(3), ["2026-11-23", "2026-11-22", "2026-11-21"]),
    ],
    ids=str,
)
def test_the_policy_says_how_far_back(catch_up, expected):
    assert labels(catch_up) == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (datetime(2026, 11, 24, 1, 59, tzinfo=UTC), ["2026-11-23"]),
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), []),
        (datetime(2026, 11, 23, 1, 0, tzinfo=UTC), ["2026-11-23", "2026-11-22"]),
    ],
    ids=["just before it was due", "when it was due", "a day before"],
)
def test_a_window_that_was_due_before_the_schedule_was_seen_is_not_missed(since, expected):
    assert labels(all_up_to(5), since=since) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC) + Cadence.grace, ["2026-11-23"]),
        (
            datetime(2026, 11, 24, 2, 0, tzinfo=UTC) + Cadence.grace - timedelta(seconds=1),
            ["2026-11-22"],
        ),
    ],
    ids=["after the grace", "within the grace"],
)
def test_beat_has_the_first_word(now, expected):
    assert labels(LAST, now=now) == expected


@given(
    st.datetimes(datetime(2021, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 40),
)
def test_reach_is_the_newest_windows_without_gaps_and_never_more_than_the_limit(now, limit):
    found = windows_in_reach(DAILY, all_up_to(limit), since=LONG_AGO, now=now)

    assert len(found) == limit
    assert all(DAILY.due(window) <= now - Cadence.grace for window in found)
    assert all(newer.start == older.end for newer, older in pairwise(found))
