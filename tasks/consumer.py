"""Celery's consumer, made to outlive a connection to Redis that cannot even be closed."""

from __future__ import annotations

import logging

from celery.worker.consumer import Consumer

log = logging.getLogger(__name__)


class PatientConsumer(Consumer):  # type: ignore[misc]
    """Reconnects whatever state the lost connection is in."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Leave the lost connection behind, so that the next one can be made.

        kombu closes it twice. Where the first try breaks off half-way, the second one finds the channel
        without its connection and fails by accident; uncaught, that ends the whole worker. What the
        connection had not acknowledged comes again by the ledger.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except (AttributeError, AssertionError) as error:
            log.warning("lost_connection_not_closed", extra={"error": type(error).__name__})
