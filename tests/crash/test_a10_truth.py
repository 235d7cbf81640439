"""A10: the ledger never says done for work that is not committed, nor running for work that is dead."""

from __future__ import annotations

import pytest

from tests.crash.effects import AT_END
from tests.crash.processes import until

BATCHES, ROWS = 4, 10
#: Leases so long that no renewal commits in between.
LONG = {"OCD_LEASE_S": "60"}


def every_effect(stack, run_id) -> list[tuple[int, int]]:
    return [(b, r) for b, r, _ in stack.effects(run_id)]


WHOLE = [(b, r) for b in range(BATCHES) for r in range(ROWS)]


def test_a10_killed_between_the_last_commit_and_the_ending_is_not_done_twice(stack):
    worker = stack.worker("one")
    with stack.gate(AT_END) as gate:
        run_id = stack.start_run("chaos.batches", batches=BATCHES, rows=ROWS, gates=str(AT_END))
        gate.wait_for_visitor()
        worker.kill()
        before = stack.run(run_id)
        gate.open()

    stack.worker("two")
    stack.wait_for_state(run_id, "done")

    assert before["state"] == "running"
    assert every_effect(stack, run_id) == WHOLE
    assert stack.run(run_id)["evidence"]["resumed_at"] == BATCHES
    assert stack.outcomes(run_id) == ["crashed", "done"]


def test_a10_a_batch_that_the_server_lost_is_done_again(stack):
    stack.worker(**LONG)
    with stack.gate(2) as gate:
        run_id = stack.start_run("chaos.batches", batches=BATCHES, rows=ROWS, gates="2")
        gate.wait_for_visitor()

        stack.restart_postgres()
        stack.wait_for_state(run_id, "done")

    assert stack.effects(run_id) == [
        (b, r, fence) for b, fence in enumerate([1, 1, 2, 2]) for r in range(ROWS)
    ]
    assert stack.outcomes(run_id) == ["retry", "done"]


def test_a10_a_batch_whose_commit_was_never_answered_is_not_done_again(stack):
    stack.worker(**LONG)
    with stack.gate(2) as gate:
        run_id = stack.start_run("chaos.batches", batches=BATCHES, rows=ROWS, gates="2")
        gate.wait_for_visitor()
        stack.hold_answers()
        gate.open()
        until(stack.count_unanswered, "the batch's commit waits for its answer")
        stack.stop_postgres()
        stack.start_answering()
        stack.wait_for_state(run_id, "done")

    assert stack.effects(run_id) == [
        (b, r, fence) for b, fence in enumerate([1, 1, 1, 2]) for r in range(ROWS)
    ]
    assert stack.outcomes(run_id) == ["retry", "done"]


@pytest.mark.parametrize("is_committed", [False, True], ids=["lost", "committed_unanswered"])
def test_a10_an_ending_is_recorded_once_whatever_the_server_did_meanwhile(stack, is_committed):
    worker = stack.worker(**LONG)
    with stack.gate(AT_END) as gate:
        run_id = stack.start_run("chaos.batches", batches=BATCHES, rows=ROWS, gates=str(AT_END))
        gate.wait_for_visitor()
        with stack.locked_run(run_id) as count_waiting:
            gate.open()
            until(count_waiting, "the ending waits for the run's row")
            if not is_committed:
                stack.restart_postgres()
            else:
                stack.hold_answers()
        if is_committed:
            until(stack.count_unanswered, "the ending's commit waits for its answer")
            stack.stop_postgres()
            stack.start_answering()
    stack.wait_for_state(run_id, "done")
    worker.wait_for(f"run {run_id} done")

    assert every_effect(stack, run_id) == WHOLE
    assert stack.outcomes(run_id) == ["done"]
    assert worker.count("ending_waits_for_database") >= 1
