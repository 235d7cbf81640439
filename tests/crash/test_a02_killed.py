"""A2: a killed worker loses at most its open batch, and the next one continues behind the last."""

from __future__ import annotations

import random
import time

import pytest

from tests.crash.processes import until

BATCHES, ROWS = 6, 10
#: Runs at work when their worker is killed, and how often it is: twenty places to be killed at.
AT_ONCE, KILLS, SEED = 10, 2, 20261126


def whole(fence_of_batch) -> list[tuple[int, int, int]]:
    return [(b, r, fence) for b, fence in enumerate(fence_of_batch) for r in range(ROWS)]


@pytest.mark.parametrize("victim", ["group", "child"])
def test_a2_the_next_worker_continues_at_the_exact_batch(stack, victim):
    worker = stack.worker("one", children=2)
    with stack.gate(3) as gate:
        run_id = stack.start_run("chaos.batches", batches=BATCHES, rows=ROWS, gates="3")
        gate.wait_for_visitor()

        if victim == "child":
            stack.process_of(run_id).kill()
        else:
            worker.kill()
            stack.worker("two")
        gate.open()
        stack.wait_for_state(run_id, "done")

    assert stack.effects(run_id) == whole([1, 1, 1, 2, 2, 2])
    assert stack.run(run_id)["fence"] == 2
    assert stack.outcomes(run_id) == ["crashed", "done"]


def test_a2_killed_between_a_delete_and_its_commit_loses_no_row(stack):
    stack.run_sql(
        "insert into chaos_source select b, r from generate_series(0, 3) b, generate_series(0, 9) r"
    )
    worker = stack.worker("one")
    with stack.gate(2) as gate:
        run_id = stack.start_run("chaos.move", gates="2")
        gate.wait_for_visitor()

        worker.kill()
        gate.open()
        stack.worker("two")
        stack.wait_for_state(run_id, "done")

    assert stack.effects(run_id) == [
        (b, r, fence) for b, fence in enumerate([1, 1, 2, 2]) for r in range(10)
    ]
    assert stack.value("select count(*) from chaos_source") == 0


def test_a2_killed_at_twenty_random_points_loses_and_doubles_nothing(stack):
    dice = random.Random(SEED)
    worker = stack.worker("w0", children=AT_ONCE)
    runs = [
        stack.start_run(
            "chaos.batches", window, batches=40, rows=5, pause_s=dice.uniform(0.02, 0.08)
        )
        for window in range(AT_ONCE)
    ]

    points = []
    for kill in range(1, KILLS + 1):
        until(lambda kill=kill: all_at_work(stack, fence=kill), f"all are in attempt {kill}")
        time.sleep(dice.uniform(0.05, 0.3))
        worker.kill()
        points += [stack.run(run_id)["progress_done"] for run_id in runs]
        worker = stack.worker(f"w{kill}", children=AT_ONCE)
    stack.wait_all_done()

    assert len(points) == 20
    for run_id in runs:
        found = stack.effects(run_id)
        assert [(b, r) for b, r, _ in found] == [(b, r) for b in range(40) for r in range(5)]
        fences = [fence for _, _, fence in found]
        assert fences == sorted(fences)
        assert stack.run(run_id)["fence"] == KILLS + 1


def all_at_work(stack, fence) -> bool:
    at_work = stack.value(
        "select count(*) from ocd.run where state = 'running' and fence = %s and progress_done < 38",
        fence,
    )
    return at_work == AT_ONCE
