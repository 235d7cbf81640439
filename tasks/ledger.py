"""Housekeeping of the ledger: each task leaves one heartbeat row and sends no events."""

from __future__ import annotations

import logging
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ocd.core.broker import KEY_PREFIX
from ocd.core.cluster import sweep_scratch
from ocd.ledger import reconcile
from tasks import runtime
from tasks.app import app
from tasks.news import tell_people
from tasks.publish import publish

log = logging.getLogger(__name__)

#: A Redis that does not hold this key lost whatever was in it.
BROKER_MARK = f"{KEY_PREFIX}broker-mark"


def reconcile_now(*, is_broker_new: bool = False) -> reconcile.Sweep:
    """Repair the ledger, make up for missed windows, send what the broker lost, tell people what is wrong.

    `is_broker_new`: somebody has looked already and found Redis empty; else this looks.
    """
    from tasks.catch_up import catch_up

    sweep_scratch()
    settings = runtime.settings()
    catch_up()
    found = reconcile.sweep(
        runtime.engine(),
        publish,
        is_broker_new=is_broker_new or _is_broker_new(),
        stale_s=settings.reconcile_s,
    )
    tell_people()
    return found


def _is_broker_new() -> bool:
    """Whether Redis came back empty since the last look; marks it. False where it does not answer."""
    try:
        with app.connection_for_write() as connection:
            # The transport's own client: it knows the URL, the password and the socket.
            return bool(connection.default_channel.client.set(BROKER_MARK, "1", nx=True))
    except (OperationalError, RedisError, OSError):
        return False


def _reconcile() -> str:
    # Every worker asks for a sweep; one in a period is enough.
    with runtime.engine().connect() as conn:
        age_s = reconcile.seconds_since_heard(conn, "reconciler")
    is_broker_new = _is_broker_new()
    if age_s is not None and age_s < runtime.settings().reconcile_s / 2 and not is_broker_new:
        return "swept already"
    found = reconcile_now(is_broker_new=is_broker_new)
    return ", ".join(f"{name} {count}" for name, count in found.counts().items())


def _canary() -> str:
    reconcile.heard(runtime.engine(), "canary")
    return "heard"


# Their names are not asked of the tasks: that would settle Celery's configuration, and start Redis with it,
# for whoever only wants to look at the jobs.
RECONCILE, CANARY = "ledger.reconcile", "ledger.canary"
HOUSEKEEPING = frozenset({RECONCILE, CANARY})

reconcile_task: Any = app.task(name=RECONCILE, ignore_result=True, send_events=False)(_reconcile)
canary_task: Any = app.task(name=CANARY, ignore_result=True, send_events=False)(_canary)
