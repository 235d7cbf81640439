"""Limits and masks, by tables of cases."""

from __future__ import annotations

import pytest

from ocd.core.errors import PolicyRefused
from ocd.quality.cleanse.policy import (
    LEAST_ROWS,
    MOST_ROWS,
    CleansingPlan,
    asks,
    masked,
    require_same,
    shown,
)


def planned(rows, of_rows=1_000_000, **changes):
    about = {"fixes": {"a": "1"}, "counts": {"a": rows}, "last_key": 9, "fingerprint": "7"}
    return CleansingPlan("d", rows=rows, of_rows=of_rows, **(about | changes))


@pytest.mark.parametrize(
    ("rows", "of_rows", "asked"),
    [
        (MOST_ROWS, 1_000_000, {}),
        (MOST_ROWS + 1, 1_000_000, {"rows": MOST_ROWS + 1}),
        (20, LEAST_ROWS, {}),
        (21, LEAST_ROWS, {"percent": 21}),
        (LEAST_ROWS - 1, LEAST_ROWS - 1, {}),
        (30_000, 60_000, {"rows": 30_000, "percent": 50}),
        (0, 0, {}),
    ],
)
def test_many_rows_or_a_great_share_are_for_a_person(rows, of_rows, asked):
    assert asks(planned(rows, of_rows)) == asked


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "8"}, {"last_key": 8}, {"fixes": {"a": "2"}}, {"rows": 2}],
    ids=lambda one: next(iter(one)),
)
def test_whatever_would_be_mended_otherwise_has_another_hash(change):
    same, other = planned(1), planned(**({"rows": 1} | change))

    require_same(same.hash, planned(1, of_rows=5))
    with pytest.raises(PolicyRefused, match="plan d"):
        require_same(same.hash, other)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (" Ann@B.example\n", "·Xxx@X.xxxxxxx\\n"),
        ("+1 312", "+9·999"),
        ("Éva Ø", "Xxx·X"),
        (None, None),
        ("ab" * 30, "x" * 39 + "…"),
    ],
)
def test_a_mask_keeps_the_shape_alone(value, shape):
    assert masked(value) == shape


def test_what_is_shown_makes_spaces_seen():
    assert shown("a \t\r") == "a·\\t\\r"
