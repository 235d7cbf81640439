"""One attempt at a run: claim it, call the job's body, end it. The only place that catches everything."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError

from ocd.core.db import redacted
from ocd.core.errors import (
    LeaseLost,
    OcdError,
    PolicyRefused,
    QuotaExhausted,
    RunCancelled,
    RunDrained,
)
from ocd.ledger import claims, enqueue, history, loglines
from ocd.ledger.claims import Ending
from ocd.ledger.evidence import Report, to_evidence
from ocd.ledger.notify import notify
from ocd.ledger.run import Run
from ocd.ledger.states import MAX_ATTEMPTS, State
from tasks import runtime
from tasks.app import draining
from tasks.job import Door, Job

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """What Celery and Flower see of a failure: the class and a message without values."""


def attempt_message(
    job: Job[Any, Any], celery_task: Any, run_id: int | None, params: Mapping[str, Any]
) -> str:
    """Carry out a message: a run's id from us, or a plain Celery call with arguments. Returns a line."""
    from tasks.publish import place_plain, publish_all

    if run_id is not None and params:
        raise RunFailed(
            "ConfigError: a message with a run's id carries no arguments; they stand in the ledger"
        )
    run_id = place_plain(job, params) if run_id is None else run_id
    run = claims.claim(
        runtime.engine(), run_id, worker=_worker(), lease_s=runtime.settings().lease_s
    )
    if run is None or run.job != job.name:
        return f"run {run_id}: nothing to do"
    run = replace(
        run,
        report_progress=lambda text: celery_task.send_event(
            "task-progress", result=f"{run_id}: {text}"
        ),
        is_draining=draining.is_set,
    )
    ending, _, ready = _attempt(job, run)
    publish_all(ready)
    return _told(run, ending)


def run_here(job: Job[Any, Any], params: Mapping[str, Any]) -> Report:
    """Run a job in this process for its current window; raises what the body raised."""
    from tasks.publish import order_now, publish_all

    order = order_now(job, params)
    with runtime.engine().begin() as conn:
        placed = enqueue.add(conn, order, retry_ended=True)
    run = claims.claim(
        runtime.engine(), placed.run_id, worker=_worker(), lease_s=runtime.settings().lease_s
    )
    if run is None:
        raise PolicyRefused(
            f"run {placed.run_id} is {placed.what.value} already; see `ocd show {placed.run_id}`"
        )
    _, result, ready = _attempt(job, run)
    publish_all(ready)
    if isinstance(result, BaseException):
        raise result
    report: Report = result
    return report


def _attempt(job: Job[Any, Any], run: Run) -> tuple[Ending | None, Any, list[int]]:
    """Call the body under the lease and end the run; returns ending, report or error, readied runs."""
    engine = runtime.engine()
    with (
        structlog.contextvars.bound_contextvars(run=run.id, job=run.job),
        loglines.kept(engine, run.id, run.fence),
    ):
        log.info(
            "attempt_started",
            extra={"window": run.window.label, "attempt": run.attempt, "fence": run.fence},
        )
        with run.lease():
            result = _call(job, run)
        ending = _ending(run, result)
        _log_ending(ending)
    try:
        with engine.begin() as conn:
            ready = claims.finish(conn, run, ending)
    except LeaseLost:
        log.warning("lease_lost", extra={"run": run.id, "fence": run.fence})
        return None, result, []
    if ending.state in {State.FAILED, State.REFUSED}:
        _notify(run.id)
    return (
        ending,
        result,
        ready if ending.state is State.DONE else ([run.id] if ending.state is State.QUEUED else []),
    )


def _call(job: Job[Any, Any], run: Run) -> Any:
    door = Door(run, runtime.settings(), runtime.engine())
    extra = {"dry_run": run.is_dry} if job.has_dry_run else {}
    try:
        return job.body(door, **_arguments(job, run), **extra)
    except Exception as error:  # noqa: BLE001 - the one place: every error becomes a state of the run
        return error
    finally:
        door.close()


def _arguments(job: Job[Any, Any], run: Run) -> dict[str, Any]:
    """Take the arguments from the ledger; ones the job no longer has are left out, new ones have defaults."""
    known = {item.name: item.default for item in job.parameters}
    return known | {name: value for name, value in run.params.items() if name in known}


def _ending(run: Run, result: Any) -> Ending:
    if not isinstance(result, BaseException):
        return Ending(State.DONE, "done", rows=result.rows, evidence=to_evidence(result))
    error = redacted(result) if isinstance(result, DBAPIError | psycopg.Error) else result
    # A foreign error's text may quote a row; its class and the lines of code do not.
    name = type(error).__name__
    message = (
        error.message
        if isinstance(error, OcdError)
        else f"unexpected {name}; see `ocd show {run.id}`"
    )
    state, outcome, delay_s = _next(run, error)
    return Ending(
        state,
        outcome,
        error_class=name,
        error_message=message,
        traceback=_frames(result),
        delay_s=delay_s,
    )


def _next(run: Run, error: BaseException) -> tuple[State, str, float]:
    """Decide by the error's class what follows: the one place where retry is decided."""
    if isinstance(error, RunDrained):
        return State.QUEUED, "drained", 0.0
    if isinstance(error, RunCancelled):
        return State.CANCELLED, "cancelled", 0.0
    if isinstance(error, PolicyRefused):
        return State.REFUSED, "refused", 0.0
    if isinstance(error, OcdError) and error.retryable and run.attempt < MAX_ATTEMPTS:
        backoff = runtime.settings().retry_backoff_s * 3 ** (run.attempt - 1)
        asked = error.retry_after_s if isinstance(error, QuotaExhausted) else None
        return State.QUEUED, "retry", float(asked or backoff)
    return State.FAILED, "failed", 0.0


def _frames(error: BaseException) -> str:
    """Return the traceback as places in the code, without any value."""
    return "".join(traceback.format_tb(error.__traceback__))[-4000:]


def _log_ending(ending: Ending) -> None:
    fields = {"outcome": ending.outcome, "rows": ending.rows, "error": ending.error_class}
    level = logging.INFO if ending.error_class is None else logging.WARNING
    log.log(
        level,
        "attempt_ended",
        extra={key: value for key, value in fields.items() if value is not None},
    )


def _notify(run_id: int) -> None:
    with runtime.engine().connect() as conn:
        run = history.run(conn, run_id)
        lines = history.log_lines(conn, run_id, last=10)
    notify(runtime.settings().webhook_url, run, lines)


def _told(run: Run, ending: Ending | None) -> str:
    """Return the line that Flower shows, or raise so that it shows a failure."""
    if ending is None:
        return f"run {run.id}: taken over by another worker"
    if ending.state is State.DONE and ending.evidence:
        return f"run {run.id} done: {ending.evidence['summary']}"
    if ending.state in {State.QUEUED, State.CANCELLED}:
        return f"run {run.id} {ending.outcome}: {ending.error_message}"
    raise RunFailed(
        f"run {run.id} {ending.state.value}: {ending.error_class}: {ending.error_message}"
    )


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
