"""What is usual is not moved by a few odd values, and known only after a while."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.stats.bounds import MIN_POINTS, robust, seasonal
from tests.factories.clock import NOW


def daily(values, before=NOW):
    return [
        (before - timedelta(days=len(values) - place), value) for place, value in enumerate(values)
    ]


def test_too_few_values_say_nothing():
    assert seasonal(daily([1.0] * (MIN_POINTS - 1)), NOW) is None


@given(st.lists(st.floats(0, 100), min_size=20), st.floats(1e3, 1e9))
def test_a_few_odd_values_do_not_move_the_bounds_beyond_the_others(values, odd):
    spoilt = [*values, odd, odd, odd]

    found = robust(spoilt)

    assert found.high < 1000


def test_a_constant_series_tolerates_a_twentieth():
    found = seasonal(daily([100.0] * 30), NOW)

    assert (found.low, found.high) == (95, 105)


def test_a_quiet_weekday_is_compared_with_its_like():
    values = [10.0 if (NOW - timedelta(days=70 - n)).weekday() == 1 else 1000.0 for n in range(70)]

    found = seasonal(daily(values), NOW)

    assert NOW.weekday() == 1
    assert found.hold(10)
    assert not found.hold(1000)


def test_false_alarms_are_rare():
    """Of normal values, fewer than one in a hundred lies outside."""
    rng = random.Random(7)
    alarms = 0
    for _ in range(1000):
        values = [rng.gauss(100, 10) for _ in range(60)]
        alarms += not seasonal(daily(values), NOW).hold(rng.gauss(100, 10))

    assert alarms < 60


@pytest.mark.parametrize("shift", [80, -80])
def test_a_shift_of_eight_deviations_is_seen(shift):
    rng = random.Random(7)
    values = [rng.gauss(100, 10) for _ in range(60)]

    assert not seasonal(daily(values), NOW).hold(100 + shift)
