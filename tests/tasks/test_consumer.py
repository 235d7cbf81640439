"""A worker outlives a connection that kombu cannot close."""

from __future__ import annotations

import logging

from celery import Celery
from kombu import Connection

from tasks.consumer import PatientConsumer


class HalfClosed(Connection):
    """A connection of which kombu has lost the parameters already."""

    def close(self):
        raise AttributeError("'NoneType' object has no attribute 'hostname'")


def test_a_connection_that_cannot_be_closed_is_left_behind(caplog):
    consumer = object.__new__(PatientConsumer)
    consumer.app = Celery("test", set_as_current=False)
    consumer.app.conf.worker_cancel_long_running_tasks_on_connection_loss = True
    consumer.connection = HalfClosed("memory://")

    with caplog.at_level(logging.WARNING, "tasks.consumer"):
        consumer.on_connection_error_after_connected(ConnectionError("gone"))

    assert consumer.connection is None
    assert "lost_connection_not_closed" in caplog.text
