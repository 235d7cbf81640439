"""Everything at once, for a short while; `make chaos` is the long run."""

from __future__ import annotations

from tests.crash.chaos import chaos


def test_every_window_is_done_and_every_effect_is_there_once_whatever_dies(stack):
    tally = chaos(stack, seed=7, windows=5, seconds=14, longest_s=3)

    assert tally.is_clean, str(tally)
    assert len(tally.troubles) == 9, "the short run has every kind of trouble in it"
