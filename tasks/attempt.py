"""One attempt at a run: claim it, call the job's body, end it. The only place that catches everything."""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from ocd.core.db import redacted
from ocd.core.errors import (
    LeaseLost,
    OcdError,
    PolicyRefused,
    QuotaExhausted,
    RunCancelled,
    RunDrained,
    SourceUnavailable,
    TooEarly,
)
from ocd.ledger import backfills, claims, enqueue, gates, history, loglines
from ocd.ledger.claims import Ended, Ending
from ocd.ledger.evidence import Report, to_evidence
from ocd.ledger.loglines import Lines
from ocd.ledger.run import Run
from ocd.ledger.states import MAX_ATTEMPTS, State
from tasks import runtime
from tasks.app import draining
from tasks.job import Door, Job
from tasks.news import tell_people

log = logging.getLogger(__name__)


#: How long the end of an attempt waits for a database that is away; then the reaper finds the run.
END_PATIENCE_S = 120.0


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
    if run_id is not None and type(run_id) is not int:
        raise RunFailed("ConfigError: a run's id is a whole number")
    try:
        run_id = place_plain(job, params) if run_id is None else run_id
        run = _claim(job, run_id)
        if run is None:
            return _why_nothing(run_id)
    except DBAPIError as error:
        # The message is gone with this; the reconciler sends another once the database is back.
        raise RunFailed(f"{type(redacted(error)).__name__}: {redacted(error).message}") from None
    run = replace(
        run,
        report_progress=lambda text: _show_progress(celery_task, f"{run.id}: {text}"),
        is_draining=draining.is_set,
    )
    ending, _, ready = _attempt(job, run)
    publish_all(ready)
    return _told(run, ending)


def _show_progress(celery_task: Any, text: str) -> None:
    """Show progress in Flower. Redis may be away: the ledger has it already, and the work goes on."""
    try:
        celery_task.send_event("task-progress", retry=False, result=text)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("progress_not_shown", extra={"error": type(error).__name__})


def _claim(job: Job[Any, Any], run_id: int) -> Run | None:
    return claims.claim(
        runtime.engine(),
        run_id,
        job=job.name,
        worker=_worker(),
        lease_s=runtime.settings().lease_s,
    )


def _why_nothing(run_id: int) -> str:
    with runtime.engine().connect() as conn:
        return f"run {run_id}: nothing to do, it is {history.state_of(conn, run_id) or 'unknown'}"


def run_here(
    job: Job[Any, Any], params: Mapping[str, Any], *, requested_by: str | None = None
) -> Report:
    """Run a job in this process for its current window; raises what the body raised."""
    from tasks.publish import order_now, publish_all

    order = order_now(job, params, requested_by=requested_by)
    with runtime.engine().begin() as conn:
        placed = enqueue.add(conn, order, retry_ended=True)
    run = _claim(job, placed.run_id)
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
        loglines.kept(engine, run.id, run.fence) as lines,
    ):
        log.info(
            "attempt_started",
            extra={"window": run.window.label, "attempt": run.attempt, "fence": run.fence},
        )
        with run.lease():
            result = run.settled or _call(job, run)
        ending = _ending(run, result)
        _log_ending(ending)
        ended = _end(run, ending, lines)
    if ended is None:
        log.warning("lease_lost", extra={"run": run.id, "fence": run.fence})
        return None, result, []
    if ending.state in {State.FAILED, State.REFUSED}:
        tell_people()
    goes_on = [run.id] if ending.state in {State.QUEUED, State.WAITING} else []
    return ending, result, [*ended.ready, *_let_go(ended), *goes_on]


def _end(run: Run, ending: Ending, lines: Lines) -> Ended | None:
    """Record the ending, however long the database is away; None when another worker holds the run.

    A commit whose answer never came is not guessed at: the ledger is asked whether it arrived.
    """
    deadline = time.monotonic() + END_PATIENCE_S
    while True:
        try:
            return _record(run, ending, lines)
        except DBAPIError as error:
            known = redacted(error)
            if not isinstance(known, SourceUnavailable) and lines.forget():
                continue  # lines that the database refuses must not cost the run its ending
            if not isinstance(known, SourceUnavailable) or time.monotonic() > deadline:
                raise RunFailed(f"{type(known).__name__}: {known.message}") from None
            log.warning("ending_waits_for_database", extra={"run": run.id})
            time.sleep(1)


def _record(run: Run, ending: Ending, lines: Lines) -> Ended | None:
    ended: Ended | None
    try:
        with runtime.engine().begin() as conn:
            ended = claims.finish(conn, run, ending, lines.pending())
    except LeaseLost:
        with runtime.engine().connect() as conn:
            ended = claims.recorded(conn, run, ending)
    if ended is not None:
        lines.forget()
    return ended


def _let_go(ended: Ended) -> list[int]:
    if ended.backfill_id is None:
        return []
    # In a transaction of its own: whoever holds a run's row never waits for its backfill's.
    with runtime.engine().begin() as conn:
        return backfills.let_go(conn, ended.backfill_id)


def _call(job: Job[Any, Any], run: Run) -> Any:
    door = Door(run, runtime.settings(), runtime.engine())
    extra = {"dry_run": run.is_dry} if job.has_dry_run else {}
    try:
        arguments = _arguments(job, run)
        if job.facts.gated_by:
            gates.require(door.conn, run, [arguments[job.facts.gated_by]])
        return job.body(door, **arguments, **extra)
    except Exception as error:  # noqa: BLE001 - the one place: every error becomes a state of the run
        return error
    finally:
        door.close()


def _arguments(job: Job[Any, Any], run: Run) -> dict[str, Any]:
    """Take the arguments from the ledger, where an older version of the job may have put them.

    Ones the job no longer has are left out, new ones have defaults, ones of another type are converted;
    raises ConfigError where that cannot be.
    """
    return {
        item.name: item.parse(run.params[item.name]) if item.name in run.params else item.default
        for item in job.parameters
    }


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
    if isinstance(error, TooEarly):
        return State.WAITING, "deferred", error.retry_after_s
    if isinstance(error, OcdError) and error.retryable and run.attempt < MAX_ATTEMPTS:
        backoff = runtime.settings().retry_backoff_s * 3 ** (run.attempt - 1)
        asked = error.retry_after_s if isinstance(error, QuotaExhausted) else None
        return State.WAITING, "retry", float(asked or backoff)
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


def _told(run: Run, ending: Ending | None) -> str:
    """Return the line that Flower shows, or raise so that it shows a failure."""
    if ending is None:
        return f"run {run.id}: taken over by another worker"
    if ending.state is State.DONE and ending.evidence:
        return f"run {run.id} done: {ending.evidence['summary']}"
    if ending.state in {State.QUEUED, State.WAITING, State.CANCELLED}:
        return f"run {run.id} {ending.outcome}: {ending.error_message}"
    raise RunFailed(
        f"run {run.id} {ending.state.value}: {ending.error_class}: {ending.error_message}"
    )


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
