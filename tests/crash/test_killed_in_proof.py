"""A backup, a verification, a rotation killed at random points; `make drill` kills each fifty times."""

from __future__ import annotations

import pytest

from tests.crash import killed_proof
from tests.crash.kills import drill


@pytest.mark.parametrize(
    ("deed", "rounds"),
    [
        (killed_proof.backup_deed, 4),
        (killed_proof.verify_deed, 2),
        (killed_proof.rotate_deed, 6),
    ],
    ids=["backup", "verify", "rotate"],
)
def test_what_is_killed_leaves_nothing_half_and_the_next_try_finishes(deed, rounds):
    with deed() as made:
        kills = drill(made, rounds=rounds, seed=11)

    assert any(kill.is_in_time for kill in kills), "every kill came too late to matter"
