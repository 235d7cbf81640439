"""Celery's pool of child processes, mended in one place: a child that has just ended does not end the worker.

Children are replaced after some tasks. One whose end was seen, but who was not replaced yet when the connection
to Redis came back, was given to the event loop again without a file to listen to; nobody expects the ValueError
of that, and it ended the whole worker. Such a child needs no ear: the pool looks after it every few seconds.
"""

from __future__ import annotations

from typing import Any

from celery.concurrency import asynpool, prefork


class Pool(asynpool.AsynPool):  # type: ignore[misc]
    """Child processes that an event loop listens to, but for those whose end it heard already."""

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if getattr(proc, "_sentinel_poll", proc) is not None:
            super()._track_child_process(proc, hub)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """The prefork pool with such children."""

    Pool = Pool
