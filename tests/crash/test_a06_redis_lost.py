"""A6: Redis may vanish or be wiped; every queued run and every window still runs, once."""

from __future__ import annotations

import itertools

import pytest

from tests.crash.processes import until

RUNS = 5


def wipe_while_connected(stack):
    stack.wipe_redis()


def lose_its_files(stack):
    stack.stop_redis(with_files=True)
    stack.redis.start()


def wait_until_known(stack) -> None:
    client = stack.client()
    until(
        lambda: [client.get(key) for key in client.keys("*broker-mark")] == [b"known"],
        "the worker marked Redis as known",
    )


def order_long_ago(stack) -> list[int]:
    """Runs that have waited for an hour: their next message would be due in another hour."""
    runs = [stack.order("chaos.batches", window) for window in range(RUNS)]
    stack.run_sql(
        "update ocd.run set queued_at = queued_at - interval '1 hour', publish_at = publish_at + interval '1 hour'"
    )
    return runs


@pytest.mark.parametrize("lose", [wipe_while_connected, lose_its_files])
def test_a6_queued_runs_run_once_after_redis_lost_their_messages(stack, lose):
    stack.worker()
    wait_until_known(stack)
    runs = order_long_ago(stack)

    lose(stack)
    stack.wait_all_done()

    assert [stack.outcomes(run_id) for run_id in runs] == [["done"]] * RUNS
    assert [len(stack.effects(run_id)) for run_id in runs] == [50] * RUNS


def test_a6_a_wipe_is_made_up_for_though_another_worker_swept_a_moment_ago(stack):
    stack.worker()
    wait_until_known(stack)
    runs = order_long_ago(stack)
    # As another worker's sweep leaves it: every request finds that there was one already.
    stack.run_sql(
        "update ocd.heartbeat set beat_at = clock_timestamp() + interval '1 hour' where name = 'reconciler'"
    )

    stack.wipe_redis()
    stack.wait_all_done()

    assert [stack.outcomes(run_id) for run_id in runs] == [["done"]] * RUNS


def test_a6_runs_ordered_while_no_worker_lived_survive_a_wiped_redis(stack):
    runs = [stack.start_run("chaos.batches", window) for window in range(RUNS)]

    stack.wipe_redis()
    stack.worker()
    stack.wait_all_done()

    assert [stack.outcomes(run_id) for run_id in runs] == [["done"]] * RUNS


def test_a6_windows_go_on_without_a_gap_when_redis_is_wiped_under_beat_and_worker(stack):
    stack.worker(CHAOS_SCHEDULE="chaos.tick")
    stack.beat(schedule="chaos.tick")
    done = "select count(*) from ocd.run where job = 'chaos.tick' and state = 'done'"
    until(lambda: stack.value(done) >= 1, "a first window is done")

    stack.wipe_redis()
    until(lambda: stack.value(done) >= 4, "three more windows are done")

    windows = stack.rows("select window_start from ocd.run where job = 'chaos.tick' order by 1")
    gaps = {(after[0] - before[0]).total_seconds() for before, after in itertools.pairwise(windows)}
    assert gaps == {1.0}
    assert (
        stack.value(
            "select max(n) from (select count(*) n from chaos_effect group by window_start) e"
        )
        == 1
    )
