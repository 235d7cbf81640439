"""Put runs into the ledger and send their ids: the row first, the message after the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from celery.utils import uuid
from kombu.exceptions import OperationalError

from ocd.core.errors import ConfigError, SourceUnavailable, UnknownName
from ocd.ledger import enqueue, history
from ocd.ledger.enqueue import Order, Placed
from ocd.ledger.history import Message
from tasks import runtime
from tasks.app import app
from tasks.job import JOBS, Job

log = logging.getLogger(__name__)

#: Messages that wait longer sit in a worker's memory and may be redelivered; the ledger waits better.
MAX_COUNTDOWN_S = 600
#: While a new version rolls out, a worker of the old one may not know a job yet.
UNKNOWN_JOB_GRACE = timedelta(minutes=10)


def publish(run_id: int) -> None:
    """Send a run's message; raises SourceUnavailable when the broker is away (the row stays queued).

    A run that is due much later is not sent at all: the reconciler sends it when its hour has come.
    """
    with runtime.engine().begin() as conn:
        message = history.message_of(conn, run_id)
        if message.job not in JOBS:
            error = UnknownName("job", message.job, JOBS)
            if enqueue.refuse(conn, run_id, error, grace=UNKNOWN_JOB_GRACE):
                log.warning("job_unknown", extra={"run": run_id, "unknown_job": message.job})
            return
    if message.delay_s is None or message.delay_s > MAX_COUNTDOWN_S:
        return
    _send(message)


def _send(message: Message) -> None:
    try:
        app.send_task(
            message.job,
            args=(message.run_id,),
            kwargs={"label": message.label},
            queue=message.queue,
            task_id=f"run-{message.run_id}-{message.generation}",
            countdown=message.delay_s or None,
        )
    except OperationalError as error:
        raise SourceUnavailable(
            "Redis does not answer; the run stays queued in the ledger and is sent when it is back"
        ) from error


def send_housekeeping(name: str, *, expires_s: float) -> None:
    """Send a housekeeping task that Flower shall not list; raises kombu's OperationalError.

    A tick that is not picked up in time vanishes: the next one does the same.
    """
    message = app.amqp.as_task_v2(uuid(), name, expires=expires_s, create_sent_event=False)
    with app.producer_or_acquire() as producer:
        app.amqp.send_task_message(
            producer, name, message, queue="short", expiration=expires_s, retry=False
        )


def publish_all(run_ids: Iterable[int]) -> None:
    """Send messages; where the broker is away the reconciler sends them later."""
    for run_id in run_ids:
        try:
            publish(run_id)
        except SourceUnavailable:
            log.warning("broker_away", extra={"run": run_id})


def place(
    orders: Iterable[Order], *, retry_ended: bool = False, force: bool = False
) -> list[Placed]:
    """Put independent runs into the ledger in one transaction, then send the ready ones."""
    with runtime.engine().begin() as conn:
        placed = [
            enqueue.add(conn, order, retry_ended=retry_ended, force=force) for order in orders
        ]
    publish_all(one.run_id for one in placed if one.is_ready)
    return placed


def order_now(job: Job[Any, Any], params: Mapping[str, Any], **about: Any) -> Order:
    """Return the order of a job for its last closed window, on the database's clock."""
    given = dict(params)
    is_dry = bool(given.pop("dry_run", False))
    return job.order(given, job.cadence.last_closed(runtime.now()), is_dry=is_dry, **about)


def place_now(job: Job[Any, Any], params: Mapping[str, Any]) -> int:
    """Queue a job for its last closed window; returns the run's id."""
    return place([order_now(job, params)])[0].run_id


def place_plain(job: Job[Any, Any], params: Mapping[str, Any]) -> int:
    """Make the ledger row of a plain Celery call; it can carry no override. Does not send anything."""
    if "dry_run" in params and not isinstance(params["dry_run"], bool):
        raise ConfigError("dry_run: true or false")
    if carried := sorted(set(params) & set(job.facts.overrides)):
        raise ConfigError(f"{carried[0]}: no plain message carries it; `ocd run {job.name}` does")
    with runtime.engine().begin() as conn:
        ids = [
            enqueue.add(conn, order_now(job, one | _dry(params), trigger="celery")).run_id
            for one in job.spread({key: value for key, value in params.items() if key != "dry_run"})
        ]
    publish_all(ids[1:])
    return ids[0]


def _dry(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"dry_run": params["dry_run"]} if "dry_run" in params else {}
