"""Put runs into the ledger and send their ids: the row first, the message after the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kombu.exceptions import OperationalError
from sqlalchemy import text

from ocd.core.clock import utc_now
from ocd.core.errors import ConfigError, SourceUnavailable
from ocd.ledger import enqueue, history
from ocd.ledger.enqueue import Order, Placed
from tasks import runtime
from tasks.app import app
from tasks.job import Job

log = logging.getLogger(__name__)

#: Messages that wait longer sit in a worker's memory and may be redelivered; the ledger waits better.
MAX_COUNTDOWN_S = 600


def publish(run_id: int) -> None:
    """Send a run's message; raises SourceUnavailable when the broker is away (the row stays queued).

    A run that is due much later is not sent at all: the reconciler sends it when it is due.
    """
    with runtime.engine().begin() as conn:
        message = history.message_of(conn, run_id)
        delay_s = conn.execute(
            text(
                "select extract(epoch from not_before - clock_timestamp()) from ocd.run where id = :id"
            ),
            {"id": run_id},
        ).scalar()
        if delay_s is not None and delay_s > MAX_COUNTDOWN_S:
            return
        enqueue.mark_published(conn, run_id)
    try:
        app.send_task(
            message.job,
            args=(run_id,),
            kwargs={"label": message.label},
            queue=message.queue,
            task_id=f"run-{run_id}-{message.generation}",
            countdown=max(float(delay_s), 0.0) if delay_s else None,
        )
    except OperationalError as error:
        raise SourceUnavailable(
            "Redis does not answer; the run stays queued in the ledger and is sent when it is back"
        ) from error


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
    """Return the order of a job for its last closed window."""
    given = dict(params)
    is_dry = bool(given.pop("dry_run", False))
    return job.order(given, job.facts.cadence.last_closed(utc_now()), is_dry=is_dry, **about)


def place_now(job: Job[Any, Any], params: Mapping[str, Any]) -> int:
    """Queue a job for its last closed window; returns the run's id."""
    return place([order_now(job, params)])[0].run_id


def place_plain(job: Job[Any, Any], params: Mapping[str, Any]) -> int:
    """Make the ledger row of a plain Celery call; it can carry no override. Does not send anything."""
    if "dry_run" in params and not isinstance(params["dry_run"], bool):
        raise ConfigError("dry_run: true or false")
    with runtime.engine().begin() as conn:
        ids = [
            enqueue.add(conn, order_now(job, one | _dry(params), trigger="celery")).run_id
            for one in job.spread({key: value for key, value in params.items() if key != "dry_run"})
        ]
    publish_all(ids[1:])
    return ids[0]


def _dry(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"dry_run": params["dry_run"]} if "dry_run" in params else {}
