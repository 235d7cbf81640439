"""A4: a run whose worker died before its first batch is taken up again."""

from __future__ import annotations


def test_a4_a_run_that_died_before_its_first_batch_is_reaped(stack):
    worker = stack.worker("one")
    with stack.gate(0) as gate:
        run_id = stack.start_run("chaos.batches", batches=2, gates="0")
        gate.wait_for_visitor()
        worker.kill()
        gate.open()
        left = stack.run(run_id)

    stack.worker("two")
    stack.wait_for_state(run_id, "done")

    assert (left["state"], left["progress_done"], left["checkpoint"]) == ("running", None, None)
    assert left["lease_until"] is not None
    assert stack.outcomes(run_id) == ["crashed", "done"]
    assert {fence for _, _, fence in stack.effects(run_id)} == {2}
