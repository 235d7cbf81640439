"""A12: when Redis comes back, workers and beat go on without anybody's help."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.concurrency import asynpool, get_implementation
from kombu import Connection
from kombu.asynchronous import Hub

from tasks import broker
from tasks.app import app
from tasks.pool import Pool, TaskPool
from tests.crash.drill import WITHIN_S, drill


def test_a12_the_canary_is_heard_again_soon_after_redis_is_back(stack):
    """A short drill; `make drill` is the long one."""
    rounds = drill(stack, rounds=3, seed=3, longest_s=4)

    assert [one.is_busy for one in rounds] == [False, True, False]
    assert all(one.recovered_s <= WITHIN_S for one in rounds)


def test_a12_a_running_job_goes_on_while_redis_is_away(stack):
    worker = stack.worker()
    with stack.gate(1) as gate:
        run_id = stack.start_run("chaos.batches", batches=5, rows=2, pause_s=0.4, gates="1")
        gate.wait_for_visitor()
        stack.stop_redis()
        gate.open()

        stack.wait_for_state(run_id, "done")

    assert worker.count("progress_not_shown") >= 1
    assert stack.outcomes(run_id) == ["done"]
    assert len(stack.effects(run_id)) == 5 * 2


def test_a12_an_acknowledgement_on_a_closed_connection_fails_as_a_lost_one(stack):
    """Celery survives a lost connection, not an AttributeError."""
    broker.mend()
    options = {"global_keyprefix": "ocd:"}
    stack.send("chaos.nobody")
    with Connection(stack.redis_url, transport_options=options) as connection:
        expected = connection.connection_errors
        channel = connection.default_channel
        message = channel.basic_get("short")
        # What Celery does with a lost connection, and where kombu's closing may break off.
        connection.collect()
        channel._disconnect_pools()

        with pytest.raises(expected):
            message.ack()


def test_a12_a_child_whose_end_was_heard_is_not_listened_to_again():
    """Celery tries to, when it is connected again before the child was replaced, and dies of it."""
    ended, hub = SimpleNamespace(_sentinel_poll=None), Hub()
    pool = Pool.__new__(Pool)

    with pytest.raises(ValueError, match="file descriptor is None"):
        asynpool.AsynPool._track_child_process(pool, ended, hub)
    pool._track_child_process(ended, hub)

    assert hub.readers == {}
    assert get_implementation(app.conf.worker_pool) is TaskPool
    hub.close()
