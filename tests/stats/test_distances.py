"""Distances equal what brute force over the raw values gives."""

from __future__ import annotations

import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.stats.distance import PSI_LARGE, PSI_SMALL, ks, psi, psi_of
from ocd.stats.distribution import Distribution, of_values
from ocd.stats.expected import LEAST, expected, expected_count

numbers = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=60)
#: No more values than buckets: then the edges are the values themselves.
distributions = numbers.map(of_values)


def normal(seed, mean=0.0, sd=1.0, size=20_000):
    rng = random.Random(seed)
    return [rng.gauss(mean, sd) for _ in range(size)]


def exact_ks(left, right):
    left, right = sorted(left), sorted(right)
    return max(
        abs(bisect_right(left, one) / len(left) - bisect_right(right, one) / len(right))
        for one in (*left, *right)
    )


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_ks_of_two_samples_is_the_one_of_their_raw_values(shift):
    left, right = normal(1), normal(2, shift)

    assert ks(of_values(left), of_values(right)) == pytest.approx(exact_ks(left, right), abs=0.012)


def test_values_that_many_share_jump_where_they_lie():
    half_zero = Distribution(points=((0.0, 0.5),), bounds=(1.0, 2.0))

    assert (half_zero.cdf_before(0.0), half_zero.cdf(0.0)) == (0.0, 0.5)
    assert half_zero.cdf(1.5) == 0.75
    assert half_zero.cdf(2.0) == 1.0
    assert ks(half_zero, Distribution(points=((0.0, 0.9), (2.0, 0.1)))) == pytest.approx(0.4)


@given(distributions)
def test_shares_rise_from_nothing_to_all(one):
    knots = one.knots()
    shares = [one.cdf(value) for value in knots]

    assert shares == sorted(shares)
    assert one.cdf(knots[0] - 1) == 0.0
    assert one.cdf(knots[-1]) == 1.0


@given(distributions, st.floats(0.01, 0.99))
def test_a_quantile_is_the_least_value_with_that_share(one, share):
    value = one.quantile(share)

    assert one.cdf(value) >= share - 1e-9
    assert one.cdf_before(value) <= share + 1e-9


@given(distributions, distributions)
def test_a_distance_is_nothing_to_itself_and_the_same_both_ways(one, other):
    assert ks(one, one) == 0.0
    assert psi(one, one) == 0.0
    assert 0.0 <= ks(one, other) <= 1.0
    assert ks(one, other) == ks(other, one)
    assert psi(one, other) >= 0.0


@pytest.mark.parametrize(
    ("after", "at_least", "at_most"),
    [
        (normal(4), 0.0, PSI_SMALL),
        (normal(4, 1.0), PSI_LARGE, 9.0),
        (normal(4, 0, 3), PSI_LARGE, 9),
    ],
    ids=["the same", "shifted", "wider"],
)
def test_psi_tells_a_shift_from_another_sample_of_the_same(after, at_least, at_most):
    assert at_least <= psi(of_values(normal(3)), of_values(after)) <= at_most


def test_psi_of_categories_is_the_textbook_s():
    was, is_now = {"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.75}

    # (0.25 - 0.5) ln(0.5) + (0.75 - 0.5) ln(1.5)
    assert psi_of(was, is_now) == pytest.approx(0.274653, abs=1e-6)
    assert psi_of({"a": 1.0}, {"b": 1.0}) == pytest.approx(2 * 0.9999 * 9.2103, abs=1e-3)


def test_no_values_have_no_distribution():
    with pytest.raises(ValueError, match="no values"):
        of_values([])


def test_an_odd_value_among_the_earlier_ones_moves_nothing():
    usual = [100.0, 104.0, 96.0, 102.0, 98.0]

    assert not expected([*usual, 5_000.0], least_spread=1).holds(5_000)
    assert expected([*usual, 5_000.0], least_spread=1).high < 120
    assert expected([*usual, 0.0], least_spread=1).holds(99)


def test_too_few_values_let_expect_nothing():
    assert expected([1.0] * (LEAST - 1), least_spread=1) is None
    assert expected_count([1.0] * (LEAST - 1)) is None


@pytest.mark.parametrize(("seen", "is_usual"), [(100, True), (71, True), (69, False), (0, False)])
def test_a_count_scatters_by_its_root(seen, is_usual):
    assert expected_count([100.0] * 5).holds(seen) is is_usual


def test_nothing_is_no_odd_count_where_little_comes():
    assert expected_count([1.0, 0.0, 2.0, 1.0]).holds(0)
