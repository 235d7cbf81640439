"""Servers for a benchmark in a temporary home, and a worker on them; nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from ocd.core import migrate
from ocd.core.settings import PROJECT, Settings
from tasks import runtime

_WORKER = (
    "-m celery -A tasks.app worker -P prefork -c 2 -Q short -E -n benchmark@%h "
    "--without-mingle --without-gossip -l INFO --include benchmarks.ledger.jobs"
)


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Point this process at PostgreSQL and Redis of a new home; stop and remove them afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ocd-benchmark-"))
    folder.chmod(0o711)  # root's PostgreSQL runs as `nobody`, who must pass through
    home = folder / ".ocd"
    # A sweep in the middle of a round would count as work of that round's jobs.
    runtime.use({"PATH": os.defpath, "OCD_HOME": str(home), "OCD_RECONCILE_S": "3600"})
    leftovers = [folder]
    try:
        settings = runtime.settings()
        # Links to elsewhere where `nobody` cannot reach the folder, or its path is too long for a socket.
        leftovers += [(home / "postgres").resolve(), socket_of(settings).parent]
        yield home
    finally:
        runtime.servers().stop()  # whoever else still holds them, such as a worker that was killed
        runtime.release()
        for one in leftovers:
            shutil.rmtree(one, ignore_errors=True)


def socket_of(settings: Settings) -> Path:
    """Return the socket that the embedded Redis listens on."""
    return Path(urlsplit(settings.broker_url()).path)


def fresh_database(name: str) -> dict[str, str]:
    """Create and migrate one more database on this home's server; returns the settings that lead to it."""
    servers = runtime.servers()

    def at(login: str) -> str:
        url = make_url(servers.postgres.url(login)).set(database=name)
        return url.render_as_string(hide_password=False)

    with psycopg.connect(servers.postgres.url("owner"), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    migrate.upgrade(at("owner"))
    return {
        "PATH": os.defpath,
        "OCD_DATABASE_URL": at("worker"),
        "OCD_OWNER_DATABASE_URL": at("owner"),
        "OCD_REDIS_URL": servers.redis.url(),
    }


@contextmanager
def worker(home: Path) -> Iterator[psutil.Process]:
    """Run a Celery worker with two processes, as `ocd up` does; its log is `worker.log` in the home."""
    environment = runtime.environment() | {"PYTHONPATH": str(PROJECT)}
    with (home / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *_WORKER.split()],
            env=environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a round that failed may have left it stopped
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children so far, those that ended and were reaped too."""
    tree = [process, *process.children(recursive=True)]
    return float(sum(sum(one.cpu_times()[:4]) for one in tree))
