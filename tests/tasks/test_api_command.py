"""`ocd api` as its service runs it: a process of its own with the reader's login."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from ocd.core.embedded import Redis, make_private
from ocd.core.settings import PROJECT
from tests.conftest import at


@pytest.fixture
def redis(tmp_path):
    home = tmp_path / "redis-home"
    make_private(home)
    server = Redis(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def process(shell, db, redis, port):
    shell.environment = {
        "OCD_DATABASE_URL": at(db.url, user="ocd_reader", password="reader"),
        "OCD_REDIS_URL": redis.url(),
    }
    with shell.start("api", "--port", str(port)) as process:
        yield process
        process.kill()
    shell.environment = {}


def get(port, page):
    deadline = time.monotonic() + 30
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{page}", timeout=20)
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_readers_login_is_enough_for_every_page(process, port):
    ready = get(port, "/readyz")

    assert ready.json()["checks"] == {"postgres": "ok", "schema": "ok", "redis": "ok"}
    metrics = get(port, "/metrics").text
    assert "ocd_ledger_up 1.0" in metrics
    assert 'ocd_job_deadline_seconds{job="lifecycle.purge"} 28800.0' in metrics


def test_it_notices_that_redis_is_gone(process, port, redis):
    assert get(port, "/readyz").status_code == 200

    redis.stop()

    assert get(port, "/readyz").json()["checks"]["redis"] == "failed"
    assert "ocd_broker_up 0.0" in get(port, "/metrics").text


def test_it_ends_well_when_told_to(process, port):
    get(port, "/healthz")

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 0


def test_without_the_extra_it_says_what_to_install(shell):
    without = "import sys; sys.modules['fastapi'] = None; from tasks.cli import main; main(['api'])"

    done = subprocess.run(
        [sys.executable, "-c", without],
        env=shell.env(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "ocd api needs fastapi" in done.stderr
    assert "ocd[api]" in done.stderr
