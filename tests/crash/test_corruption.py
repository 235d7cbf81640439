"""Damaged backups, a few of them; `make drill` runs hundreds."""

from __future__ import annotations

from tests.crash.corruption import desk, drill, told


def test_damage_of_every_sort_is_detected():
    with desk() as made:
        outcomes = drill(made, cases=12, seed=5)

    assert {one.verdict for one in outcomes} == {"detected"}, "\n".join(map(str, outcomes))
    assert len({one.kind for one in outcomes}) > 5, told(outcomes)
