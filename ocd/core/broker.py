"""How many messages wait in Redis: a look past the task queue's own machinery, for monitoring."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

#: Before every key, so that other programs may use the same Redis.
KEY_PREFIX = "ocd:"
QUEUES = ("short", "long", "io", "ml", "restore")
#: A queue is a list per priority step; the first is the queue's name alone (kombu 5.7, transport/redis.py).
_PRIORITY_SUFFIXES = ("", "\x06\x163", "\x06\x166", "\x06\x169")
TIMEOUT_S = 2.0


def queue_lengths(
    url: str, queues: Iterable[str] = QUEUES, *, timeout_s: float = TIMEOUT_S
) -> dict[str, int] | None:
    """Return how many messages each queue holds; None where Redis does not answer in time.

    Messages that a worker took and has not acknowledged are no longer in the queue.
    """
    names = list(queues)
    try:
        client = redis.Redis.from_url(
            redis_url(url),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),  # the next look is soon enough
        )
        with client, client.pipeline(transaction=False) as pipe:
            for name in names:
                for suffix in _PRIORITY_SUFFIXES:
                    pipe.llen(f"{KEY_PREFIX}{name}{suffix}")
            counts = pipe.execute()
    except (RedisError, OSError, ValueError):
        return None
    steps = len(_PRIORITY_SUFFIXES)
    return {
        name: sum(counts[number * steps : (number + 1) * steps])
        for number, name in enumerate(names)
    }


def redis_url(broker_url: str) -> str:
    """Return the broker's URL as redis-py spells it: a Unix socket, and `CERT_REQUIRED`, have other names there."""
    parts = urlsplit(broker_url)
    if parts.scheme == "redis+socket":
        options = dict(parse_qsl(parts.query))
        options["db"] = options.pop("virtual_host", "0")
        return f"unix://{parts.netloc}{parts.path}?{urlencode(options)}"
    options = {
        key: value.lower().removeprefix("cert_") if key == "ssl_cert_reqs" else value
        for key, value in parse_qsl(parts.query)
    }
    return parts._replace(query=urlencode(options)).geturl()
