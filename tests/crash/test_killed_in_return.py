"""A restore, an unpurge, an erasure killed at random points; `make drill` kills each fifty times."""

from __future__ import annotations

import signal

import pytest

from tests.crash import killed_return
from tests.crash.kills import drill, run


@pytest.mark.parametrize(
    ("deed", "rounds"),
    [
        (killed_return.restore_deed, 2),
        (killed_return.unpurge_deed, 3),
        (killed_return.erase_deed, 3),
    ],
    ids=["restore", "unpurge", "erase"],
)
def test_what_is_killed_half_way_is_finished_by_the_next_try(deed, rounds):
    with deed() as made:
        kills = drill(made, rounds=rounds, seed=5)

    assert any(kill.is_in_time for kill in kills), "every kill came too late to matter"


@pytest.mark.parametrize(
    "deed",
    [killed_return.restore_deed, killed_return.unpurge_deed, killed_return.erase_deed],
    ids=["restore", "unpurge", "erase"],
)
def test_what_was_done_but_not_told_is_told_by_the_next_try(deed):
    with deed() as made:
        command = made.prepare(0)
        first = run([*command, killed_return.UNTOLD])
        second = run(command)
        made.check(0)

    assert (first, second) == (-signal.SIGKILL, 0)
