"""A5: what crashes its worker is started three times, then dead: visible, and replayable."""

from __future__ import annotations

ONE_SECOND = {"OCD_LEASE_S": "1"}


def starts(stack, run_id) -> int:
    return stack.value("select count(*) from chaos_start where run_id = %s", run_id)


def open_incidents(stack, run_id):
    return stack.rows(
        "select kind, error_class from ocd.incident where run_id = %s and closed_at is null", run_id
    )


def test_a5_a_job_that_kills_its_process_is_dead_after_three_starts_and_can_be_replayed(stack):
    stack.run_sql("insert into chaos_poison values ('chaos.suicide')")
    worker = stack.worker(children=2, **ONE_SECOND)

    run_id = stack.start_run("chaos.suicide")
    stack.wait_for_state(run_id, "dead", 30)

    assert starts(stack, run_id) == 3
    assert stack.outcomes(run_id) == ["crashed"] * 3
    assert open_incidents(stack, run_id) == [("dead", "WorkerLost")]
    assert "chaos.suicide" in stack.command("runs", "--state", "dead")
    assert worker.is_alive()

    stack.run_sql("truncate chaos_poison")
    stack.command("rerun", "--dead", "--no-wait")
    stack.wait_for_state(run_id, "done")

    assert stack.run(run_id)["generation"] == 2
    assert stack.outcomes(run_id) == [*["crashed"] * 3, "done"]
    assert open_incidents(stack, run_id) == []


def test_a5_a_run_whose_whole_worker_dies_three_times_is_dead(stack):
    with stack.gate(0) as gate:
        run_id = stack.order("chaos.batches", batches=2, gates="0")
        for number in range(3):
            worker = stack.worker(f"w{number}", **ONE_SECOND)
            gate.wait_for_visitor_of(run_id, fence=number + 1)
            worker.kill()
        stack.worker("last", **ONE_SECOND)
        stack.wait_for_state(run_id, "dead")

    assert starts(stack, run_id) == 3
    assert open_incidents(stack, run_id) == [("dead", "WorkerLost")]
    assert stack.effects(run_id) == []
