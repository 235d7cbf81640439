"""The services' very commands, as local processes on servers of the test's own.

What containers add (networks, read-only roots, volumes) is not run anywhere: no engine is here.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from ocd.core.embedded import Redis, make_private
from ocd.core.settings import PROJECT
from tests.conftest import at

COMPOSE = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")


def block_of(service: str) -> str:
    """Return a service's lines."""
    block = re.search(rf"^  {service}:\n(?:    .*\n|\n)+", COMPOSE, re.MULTILINE)
    assert block, service
    return block[0]


def command_of(service: str) -> list[str]:
    """Return a service's command; a list or a line, as the file has it."""
    line = re.search(r"^    command: (.+)$", block_of(service), re.MULTILINE)
    assert line, service
    return shlex.split(line[1].strip("[]").replace(",", " "))


@pytest.fixture
def redis(tmp_path):
    home = tmp_path / "redis-home"
    make_private(home)
    server = Redis(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def environment(db, redis, tmp_path):
    """Settings as the services get them: secrets from files only."""
    values = {"DATABASE_URL": db.url, "OWNER_DATABASE_URL": db.owner_url, "REDIS_URL": redis.url()}
    files = {name: tmp_path / name.lower() for name in values}
    for name, value in values.items():
        files[name].write_text(value)
    return {f"OCD_{name}_FILE": str(path) for name, path in files.items()} | {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "OCD_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(PROJECT),
    }


@pytest.fixture
def start(environment, tmp_path):
    """Start commands with their output in a file; all are stopped afterwards."""
    started = []

    def run(command: list[str]) -> Path:
        log = tmp_path / f"log-{len(started)}"
        with log.open("wb") as out:
            started.append(
                subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=out, stderr=out)
            )
        return log

    yield run
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=30)


def output(log: Path, until: str) -> str:
    """Return what a process wrote, once these words are among it, or after half a minute."""
    deadline = time.monotonic() + 30
    while until not in (written := log.read_text(errors="replace")):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return written


def test_migrate_ends_well(environment):
    done = subprocess.run(
        command_of("migrate"),
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "revision" in done.stdout


def test_a_worker_takes_a_run_that_was_ordered_elsewhere(environment, start):
    log = start(command_of("worker-short"))
    assert "ready" in output(log, until="ready")

    done = subprocess.run(
        ["ocd", "run", "warehouse.rollup", "--json"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr + log.read_text()
    assert '"state": "done"' in done.stdout


@pytest.mark.parametrize("service", ["worker-long", "worker-io", "worker-ml"])
def test_every_queue_has_a_worker(start, service):
    log = start(command_of(service))

    assert "ready" in output(log, until="ready")


def test_beat_starts_with_its_schedule(start, tmp_path):
    command = [part.replace("/state/", f"{tmp_path}/") for part in command_of("beat")]
    log = start(command)

    assert "beat: Starting" in output(log, until="beat: Starting")


def test_flower_starts_with_its_conf_file(start, tmp_path):
    conf = tmp_path / "flowerconfig.py"
    conf.write_text("address = '127.0.0.1'\nport = 0\nbasic_auth = ['ocd:x']\n")
    command = [
        part.replace("/run/secrets/flowerconfig.py", str(conf)) for part in command_of("flower")
    ]
    log = start(command)

    assert "Visit me at" in output(log, until="Visit me at")


def test_the_api_is_ready_with_the_readers_login_alone(environment, start, db, tmp_path):
    """Its secret file holds the reader's URL, under the name that every service reads."""
    block = block_of("api")
    assert re.findall(r"secrets: (.+)", block) == ["[reader_database_url, redis_url]"]
    assert "OCD_DATABASE_URL_FILE: /run/secrets/reader_database_url" in block
    reader = at(db.url, user="ocd_reader", password="reader")
    (tmp_path / "reader_database_url").write_text(reader)
    environment["OCD_DATABASE_URL_FILE"] = str(tmp_path / "reader_database_url")
    del environment["OCD_OWNER_DATABASE_URL_FILE"]
    port = str(free_port())
    command = [{"0.0.0.0": "127.0.0.1", "8080": port}.get(part, part) for part in command_of("api")]

    log = start(command)

    assert "api_starts" in output(log, until="api_starts")
    assert probe(block.replace("8080", port))
    ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20)
    assert ready.json()["checks"] == {"postgres": "ok", "schema": "ok", "redis": "ok"}


def probe(block: str) -> bool:
    """Run a service's own healthcheck until it passes."""
    found = re.search(r'test: \["CMD", "python", "-c", "(.+)"\]', block)
    assert found
    deadline = time.monotonic() + 30
    while subprocess.run([sys.executable, "-c", found[1]], capture_output=True).returncode:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def free_port() -> int:
    with socket.socket() as wanted:
        wanted.bind(("127.0.0.1", 0))
        return wanted.getsockname()[1]


def test_a_purge_is_refused_on_a_database_that_is_not_ours(environment, start):
    log = start(command_of("worker-long"))
    assert "ready" in output(log, until="ready")

    done = subprocess.run(
        ["ocd", "run", "lifecycle.purge", "--dataset", "agent_queries", "--json"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "OCD_PURGE_ENABLED=true" in done.stdout
