"""Queue lengths, held against kombu's own view of the same Redis."""

from __future__ import annotations

import socket

import pytest
from kombu import Connection, Queue

from ocd.core.broker import KEY_PREFIX, QUEUES, queue_lengths, redis_url
from ocd.core.embedded import Redis, make_private


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    home = tmp_path_factory.mktemp("broker") / ".ocd"
    make_private(home)
    server = Redis(home)
    server.start()
    yield server
    server.stop()


def test_messages_are_counted_as_kombu_counts_them_at_every_priority(redis):
    with Connection(redis.url(), transport_options={"global_keyprefix": KEY_PREFIX}) as connection:
        channel = connection.default_channel
        for priority in (0, 2, 3, 5, 6, 9):
            with connection.Producer(channel) as producer:
                producer.publish({}, routing_key="long", priority=priority, declare=[Queue("long")])
        kombus = {name: channel._size(name) for name in QUEUES}

    found = queue_lengths(redis.url())

    assert found == kombus == {"short": 0, "long": 6, "io": 0, "ml": 0, "restore": 0}


def test_a_redis_that_is_not_there_has_no_lengths(tmp_path):
    assert queue_lengths(f"redis+socket://{tmp_path}/none.sock") is None
    assert queue_lengths("redis://127.0.0.1:1/0") is None


def test_a_redis_that_hangs_has_no_lengths():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()

        assert queue_lengths(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", timeout_s=0.2) is None


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        ("redis://:pw@host:6380/3", "redis://:pw@host:6380/3"),
        ("redis+socket:///run/r.sock?virtual_host=2", "unix:///run/r.sock?db=2"),
        ("redis+socket:///run/r.sock", "unix:///run/r.sock?db=0"),
        ("redis+socket://:p%40w@/run/r.sock?virtual_host=0", "unix://:p%40w@/run/r.sock?db=0"),
        (
            "rediss://u:p@host/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=%2Fca.pem",
            "rediss://u:p@host/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fca.pem",
        ),
    ],
    ids=["tcp", "socket", "socket without database", "socket with password", "tls"],
)
def test_urls_are_spelt_for_redis_py(broker, expected):
    assert redis_url(broker) == expected
