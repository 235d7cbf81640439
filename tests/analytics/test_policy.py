"""Levels and reasons follow from figures alone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ocd.analytics.kpis.policy import Condition, level_of, reason_of

UP = {"warn": Condition.parse("value > 0.20"), "crit": Condition.parse("value > 0.40")}
DOWN = {"warn": Condition.parse("value <= 7"), "crit": Condition.parse("value <= 3")}
BOTH = {"warn": Condition.parse("abs value > 0.15"), "crit": Condition.parse("abs value > 0.30")}


@pytest.mark.parametrize(
    ("thresholds", "value", "level"),
    [
        (UP, 0.2, "ok"),
        (UP, 0.2000001, "warn"),
        (UP, Decimal("0.4"), "warn"),
        (UP, 0.41, "crit"),
        (DOWN, 7, "warn"),
        (DOWN, 7.01, "ok"),
        (DOWN, 3, "crit"),
        (DOWN, 0, "crit"),
        (BOTH, -0.15, "ok"),
        (BOTH, -0.16, "warn"),
        (BOTH, 0.31, "crit"),
        (UP, None, None),
        ({}, 99, None),
    ],
)
def test_a_level_is_the_worst_that_is_reached(thresholds, value, level):
    assert level_of(thresholds, value) == level


def test_the_first_reason_that_holds_is_given():
    reasons = {
        "no_queries": Condition.parse("n = 0"),
        "nothing_timed": Condition.parse("timed = 0"),
    }

    assert reason_of(reasons, {"n": 0, "timed": 0}) == "no_queries"
    assert reason_of(reasons, {"n": 2, "timed": None}) == "nothing_timed"
    assert reason_of(reasons, {"n": 2, "timed": 1}) == "not_computable"


@pytest.mark.parametrize("text", ["value", "value >", "value > x", "1 > value", "value > 1; drop"])
def test_a_condition_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="is no condition"):
        Condition.parse(text)


@pytest.mark.parametrize("text", ["value > 0.30", "abs value <= -1", "n = 0"])
def test_a_condition_prints_as_it_was_written(text):
    assert str(Condition.parse(text)) == text
