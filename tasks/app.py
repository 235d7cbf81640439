"""The Celery application: `celery -A tasks.app worker | beat | flower` work as anywhere else."""

from __future__ import annotations

import logging
import multiprocessing
from typing import Any

from celery import Celery, signals
from celery.schedules import schedule
from sqlalchemy.exc import DBAPIError

from ocd.core import logging as ocd_logging
from ocd.core.broker import KEY_PREFIX
from ocd.core.db import close_engines
from tasks import broker, runtime
from tasks.timer import SweepTimer

#: A message is redelivered after this long without an acknowledgement: twice the hard time limit.
VISIBILITY_S = 6 * 3600
HARD_LIMIT_S = 2 * 3600

#: Set in the worker's main process when it is told to stop; its children look between batches.
draining = multiprocessing.Event()


def _configuration() -> dict[str, Any]:
    """Return the settings of Celery, each where it differs from the default with its reason."""
    broker_url = runtime.settings().broker_url()
    return {
        "broker_url": broker_url,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_S,
            "unacked_restore_interval": 10,  # look for lost messages often; the default may take 100 s
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 5,
            "socket_keepalive": not broker_url.startswith("redis+socket:"),
            "health_check_interval": 25,
            "global_keyprefix": KEY_PREFIX,  # other apps on the same Redis have other timeouts
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # never give up on Redis; the default is 100 tries
        "task_publish_retry_policy": {"max_retries": 3, "interval_max": 1},
        "task_ignore_result": True,  # the ledger is the history
        "task_acks_late": True,  # a killed worker's message comes back; the ledger makes that harmless
        "task_reject_on_worker_lost": False,  # would loop for ever on a crashing input
        "task_retry_on_worker_lost": True,  # bounded by max_retries of each task
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_time_limit": HARD_LIMIT_S,
        "task_soft_time_limit": HARD_LIMIT_S - 600,
        "task_default_queue": "short",
        "task_routes": (_route,),
        "task_track_started": True,
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "result_extended": True,
        "worker_prefetch_multiplier": 1,  # a short job never waits behind a long one in the same child
        "worker_pool": "tasks.pool:TaskPool",
        "worker_max_tasks_per_child": 100,
        "worker_max_memory_per_child": 600_000,  # KiB
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # a late finish is harmless
        "worker_proc_alive_timeout": 30,
        "timezone": "UTC",  # local crontabs skip or double hours at clock changes
        "enable_utc": True,
        "beat_scheduler": "tasks.scheduler:WindowScheduler",
        "beat_enable_remote_control": True,
        "beat_max_loop_interval": 10,
        "beat_cron_starting_deadline": 300,
        "beat_schedule": _schedule(),
    }


def _route(name: str, *_: Any, **__: Any) -> dict[str, str] | None:
    """Send a plain `celery call` to its job's queue; our own messages name theirs."""
    from tasks.job import JOBS

    return {"queue": JOBS[name].facts.queue} if name in JOBS else None


def _schedule() -> dict[str, Any]:
    from beat_schedule import SCHEDULE

    every = schedule(runtime.configured().canary_s)
    return SCHEDULE | {"canary": SCHEDULE["canary"] | {"schedule": every}}


broker.mend()
app = Celery("ocd", include=["tasks.registry"])
app.add_defaults(_configuration)
app.steps["consumer"].add(SweepTimer)


def _log(**_: Any) -> None:
    found = runtime.configured()
    ocd_logging.configure(found.log_format, found.log_level)


def _check_schema(**_: Any) -> None:
    """Refuse to start on a database of another revision; raises SchemaMismatch."""
    runtime.engine()
    close_engines()  # no connection may live over the fork


def _reconcile_at_start(**_: Any) -> None:
    """Sweep once from the main process: a worker of any queue repairs, even if nobody serves `short`."""
    from tasks.ledger import reconcile_now

    try:
        reconcile_now()
    except DBAPIError as error:
        logging.getLogger(__name__).warning("sweep_failed", extra={"error": type(error).__name__})
    finally:
        close_engines()


def _drain(**_: Any) -> None:
    draining.set()


# Plain calls, not decorators: Celery has no types, and a decorated function would lose its own.
signals.setup_logging.connect(_log)
signals.worker_init.connect(_check_schema)
signals.worker_ready.connect(_reconcile_at_start)
signals.worker_shutting_down.connect(_drain)
