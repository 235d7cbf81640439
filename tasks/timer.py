"""Every worker asks for a sweep of the ledger when it (re)connects to Redis, and then every minute.

So the ledger is repaired without beat, and at once when Redis comes back.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from kombu.exceptions import OperationalError

from tasks import runtime

log = logging.getLogger(__name__)


class SweepTimer(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer: Celery starts it with every connection and stops it with its loss."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Ask now and from now on."""
        period_s = float(runtime.settings().reconcile_s)
        self._timer = consumer.timer.call_repeatedly(period_s, ask_for_sweep, (period_s,))
        ask_for_sweep(period_s)

    def stop(self, consumer: Any) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def ask_for_sweep(period_s: float) -> None:
    """Send the reconciler's message; a broker that is away is no news to a worker."""
    from tasks.publish import send_housekeeping

    try:
        send_housekeeping("ledger.reconcile", expires_s=max(900.0, period_s))
    except (OperationalError, OSError) as error:
        log.warning("sweep_not_asked_for", extra={"error": type(error).__name__})
