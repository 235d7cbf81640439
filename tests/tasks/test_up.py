"""`ocd up`: one per home, clean at Ctrl-C, no orphan after a kill."""

from __future__ import annotations

import signal
import time

import httpx
import psutil
import pytest


def marked(home):
    """Return the processes of this home's stack and servers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("OCD_STACK") == str(home) or str(home) in " ".join(
                process.cmdline()
            ):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def up(shell):
    process = shell.start("up")
    started = time.monotonic()
    seen = []
    while not {"worker", "beat", "flower", "site", "api"} <= {
        line.split()[0] for line in seen if " running " in line
    }:
        assert time.monotonic() - started < 60, seen
        seen.append(process.stdout.readline())
    yield process, seen
    process.kill()
    process.stdout.close()
    process.wait()


def test_it_says_one_line_per_process_and_where_flower_is(up):
    _, seen = up

    assert any(
        line.startswith("Flower: http://127.0.0.1:") and "secrets/flower" in line for line in seen
    )
    assert {"postgres", "redis"} <= {line.split()[0] for line in seen if line.strip()}


def test_it_says_where_the_api_is_and_that_is_ready(up):
    _, seen = up
    (line,) = [line for line in seen if line.startswith("API: ")]
    port = int(line.split("127.0.0.1:")[1].split("/")[0])

    assert ready(port) == {"postgres": "ok", "schema": "ok", "redis": "ok"}


def ready(port):
    """Wait for the API's first answer: supervisord calls it running before it listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20).json()["checks"]
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_second_one_says_who_runs_it(shell, up):
    process, _ = up

    done = shell("up", code=2)

    assert f"pid {process.pid}" in done.stderr


def test_ctrl_c_stops_all(shell, up):
    process, _ = up

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=60) == 0
    assert marked(shell.home) == []


def test_after_a_kill_down_leaves_no_orphan(shell, up):
    process, _ = up
    process.kill()
    process.wait()

    shell("down")

    assert marked(shell.home) == []


def test_after_supervisord_was_killed_too_down_leaves_no_orphan(shell, up):
    process, _ = up
    process.kill()
    for orphan in marked(shell.home):
        if "supervisord" in " ".join(orphan.cmdline()):
            orphan.kill()

    shell("down")

    assert marked(shell.home) == []


def test_no_secret_stands_in_a_process_list(shell, up):
    secrets = [path.read_text().strip() for path in (shell.home / "secrets").iterdir()]

    lines = [" ".join(process.cmdline()) for process in marked(shell.home)]

    assert lines
    assert not any(secret in line for secret in secrets for line in lines)
