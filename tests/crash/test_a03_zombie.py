"""A3: a worker that slept longer than its lease can write nothing once another took its run over."""

from __future__ import annotations


def test_a3_a_zombie_neither_writes_its_batch_nor_ends_the_run(stack):
    zombie = stack.worker("zombie")
    with stack.gate(2) as second, stack.gate(4) as fourth:
        run_id = stack.start_run("chaos.batches", batches=6, rows=10, gates="2,4")
        second.wait_for_visitor()
        zombie.freeze()
        second.open()
        stack.worker("heir")
        # The heir is past the zombie's batch and still at work when the zombie wakes up.
        fourth.wait_for_visitor()

        zombie.thaw()
        zombie.wait_for("lease_lost")

        assert stack.run(run_id)["state"] == "running"
        fourth.open()
        stack.wait_for_state(run_id, "done")
    assert stack.effects(run_id) == [
        (b, r, fence) for b, fence in enumerate([1, 1, 2, 2, 2, 2]) for r in range(10)
    ]
    assert stack.outcomes(run_id) == ["crashed", "done"]
    assert stack.run(run_id)["error_class"] is None


def test_a3_a_zombie_that_wakes_after_the_end_changes_nothing(stack):
    zombie = stack.worker("zombie")
    with stack.gate(2) as gate:
        run_id = stack.start_run("chaos.batches", batches=4, rows=10, gates="2")
        gate.wait_for_visitor()
        zombie.freeze()
        gate.open()
        stack.worker("heir")
        stack.wait_for_state(run_id, "done")
        before = stack.run(run_id)

        zombie.thaw()
        zombie.wait_for("lease_lost")

    assert stack.run(run_id) == before
    assert len(stack.effects(run_id)) == 4 * 10
