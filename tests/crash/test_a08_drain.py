"""A8: SIGTERM stops a worker between two batches, in time, and nothing is lost."""

from __future__ import annotations

#: Part of the promise: after its open batch a run is given back this soon, …
GIVEN_BACK_S = 2.0
#: … and its worker is gone; Celery alone takes up to two seconds to close its pool.
GONE_S = 4.0


def test_a8_a_worker_told_to_stop_ends_its_batch_and_gives_the_run_back(stack):
    worker = stack.worker("one")
    with stack.gate(3) as gate:
        run_id = stack.start_run("chaos.batches", batches=12, rows=10, pause_s=0.5, gates="3")
        gate.wait_for_visitor()
        worker.terminate()
        worker.wait_for("Warm shutdown")
        gate.open()
        stack.wait_for_state(run_id, "queued", GIVEN_BACK_S)
        took_s = worker.wait(15)
    given_back = stack.run(run_id)
    stack.worker("two")
    stack.wait_for_state(run_id, "done")

    assert took_s <= GONE_S
    assert (given_back["attempt"], given_back["checkpoint"]) == (0, {"batch": 4})
    assert stack.effects(run_id) == [
        (b, r, fence) for b, fence in enumerate([1] * 4 + [2] * 8) for r in range(10)
    ]
    assert stack.outcomes(run_id) == ["drained", "done"]
    assert stack.run(run_id)["attempt"] == 1
