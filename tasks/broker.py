"""kombu's channel to Redis, mended in one place: a channel whose connection is gone says so.

Celery closes a lost connection, and with it the channel forgets whom it talks to. What still has to be
acknowledged or given back on that channel then failed with an AttributeError, which nobody expects: it
ended the whole worker. As a ConnectionError it is what Celery knows how to live with. What was not
acknowledged comes again by the ledger.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that is lost together with its connection."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection of this channel is closed")
        found: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return found


def mend() -> None:
    """Let every connection to Redis of this process use the mended channel."""
    redis.Transport.Channel = Channel
