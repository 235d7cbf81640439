"""A1: a run takes effect once, however often it is sent."""

from __future__ import annotations

from tests.crash.processes import until

BATCHES, ROWS = 10, 100


def test_a1_messages_sent_twice_and_redelivered_take_effect_once(stack):
    """Two workers, every message twice, given out again by Redis before the job is half done."""
    for name in ("one", "two"):
        stack.worker(name, children=2, CHAOS_VISIBILITY_S="1")

    run_id = stack.start_run("chaos.batches", batches=BATCHES, rows=ROWS, pause_s=0.3)
    stack.send("chaos.batches", run_id)
    assert stack.order("chaos.batches", batches=BATCHES, rows=ROWS) == run_id
    stack.wait_for_state(run_id, "done")

    assert stack.effects(run_id) == [(b, r, 1) for b in range(BATCHES) for r in range(ROWS)]
    assert stack.outcomes(run_id) == ["done"]
    until(
        lambda: sum(one.count("nothing to do, it is") for one in stack.processes) >= 3,
        "the other messages find nothing to do",
    )


def test_a1_two_workers_that_claim_at_the_same_moment_get_one_run(stack):
    for name in ("one", "two"):
        stack.worker(name)
    run_id = stack.order("chaos.batches", batches=2, pause_s=0.2)

    with stack.locked_run(run_id) as count_waiting:
        stack.send("chaos.batches", run_id)
        stack.send("chaos.batches", run_id)
        until(lambda: count_waiting() == 2, "both wait for the row")

    stack.wait_for_state(run_id, "done")
    assert stack.run(run_id)["fence"] == 1
    assert len(stack.effects(run_id)) == 2 * 10
