"""A worker and a beat whose clock is ten minutes wrong: leases, windows and the canary stay right."""

from __future__ import annotations

import time

import pytest

from tests.crash.processes import until

TEN_MINUTES = 600.0
TICKS = "chaos.tick"


@pytest.mark.parametrize("wrong_s", [TEN_MINUTES, -TEN_MINUTES], ids=["fast", "slow"])
def test_a_wrong_clock_moves_no_lease_no_window_and_no_canary(stack, wrong_s):
    stack.worker("wrong", clock_s=wrong_s, CHAOS_SCHEDULE=TICKS)
    stack.worker("right", CHAOS_SCHEDULE=TICKS)
    stack.run_sql("insert into chaos_poison values ('chaos.leaky')")
    with stack.gate(1) as gate:
        runs = [stack.start_run("chaos.batches", window, batches=3, gates="1") for window in (1, 2)]
        until(lambda: gate.count_visitors() == 2, "each worker holds a run")
        # Longer than the leases: each renews its own, and neither may reap the other's.
        time.sleep(3)
        gate.open()
        for run_id in runs:
            stack.wait_for_state(run_id, "done")
    # The delay of a retry is an instant in a message, by a clock that is wrong; the ledger knows better.
    retried = stack.start_run("chaos.leaky", how="away")
    stack.wait_for_state(retried, "waiting")
    stack.run_sql("truncate chaos_poison")

    stack.beat("wrong-beat", clock_s=wrong_s, schedule=TICKS)
    until(lambda: stack.value("select count(*) from ocd.run where job = %s and state = 'done'", TICKS) >= 3, "three windows are done")  # fmt: skip

    stack.wait_for_state(retried, "done")
    assert stack.outcomes(retried) == ["retry", "done"]
    assert [stack.run(run_id)["fence"] for run_id in runs] == [1, 1]
    assert stack.outcomes(runs[0]) == stack.outcomes(runs[1]) == ["done"]
    # A window is ordered when it is over, on the database's clock, and soon after.
    early, late = stack.rows(
        "select min(created_at - window_end) >= '0', max(created_at - window_end) < '10 seconds' from ocd.run where job = %s", TICKS,
    )[0]  # fmt: skip
    assert (early, late) == (True, True)
    until(
        lambda: stack.value("select count(*) from ocd.heartbeat where name = 'canary' and beat_at between clock_timestamp() - interval '5 seconds' and clock_timestamp()"),
        "a canary was heard a moment ago",
    )  # fmt: skip
