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

#: A Redis in which this key does not say `known` lost whatever was in it, and nobody made up for that yet.
BROKER_MARK = f"{KEY_PREFIX}broker-mark"


def reconcile_now() -> reconcile.Sweep:
    """Repair the ledger, make up for missed windows, send what the broker lost, tell people what is wrong."""
    from tasks.catch_up import catch_up

    sweep_scratch()
    settings = runtime.settings()
    catch_up()
    is_broker_new = _is_broker_new()
    found = reconcile.sweep(
        runtime.engine(), publish, is_broker_new=is_broker_new, stale_s=settings.reconcile_s
    )
    if is_broker_new:
        _mark("known", xx=True)
    tell_people()
    return found


def _is_broker_new() -> bool:
    """Whether Redis came back empty and no sweep has made up for it. False where it does not answer.

    The mark is set before the sweep and made `known` only behind it, where it is still there: a worker
    that dies meanwhile, or a second wipe, is noticed by the next sweep.
    """
    return _mark("seen", nx=True) not in {None, b"known"}


def _mark(value: str, **condition: bool) -> bytes | None:
    """Set the mark under a condition and return what it says then; None where Redis does not answer."""
    try:
        with app.connection_for_write() as connection:
            # The transport's own client: it knows the URL, the password and the socket.
            client = connection.default_channel.client
            client.set(BROKER_MARK, value, **condition)
            # kombu puts its prefix before the key of a SET, not of a GET.
            found: bytes | None = client.get(client.global_keyprefix + BROKER_MARK)
            return found
    except (OperationalError, RedisError, OSError):
        return None


def _reconcile() -> str:
    # Every worker asks for a sweep; one in a period is enough.
    with runtime.engine().connect() as conn:
        age_s = reconcile.seconds_since_heard(conn, "reconciler")
    if age_s is not None and age_s < runtime.settings().reconcile_s / 2 and not _is_broker_new():
        return "swept already"
    return ", ".join(f"{name} {count}" for name, count in reconcile_now().counts().items())


def _canary() -> str:
    reconcile.heard(runtime.engine(), "canary")
    return "heard"


# Their names are not asked of the tasks: that would settle Celery's configuration, and start Redis with it,
# for whoever only wants to look at the jobs.
RECONCILE, CANARY = "ledger.reconcile", "ledger.canary"
HOUSEKEEPING = frozenset({RECONCILE, CANARY})

reconcile_task: Any = app.task(name=RECONCILE, ignore_result=True, send_events=False)(_reconcile)
canary_task: Any = app.task(name=CANARY, ignore_result=True, send_events=False)(_canary)
