"""`python -m MODULE` without loading the libraries again: a server that has loaded them forks.

What it forks is a process as any other, with its own environment, standard streams and exit code.
Only other people's libraries are there already: our modules are loaded in its own environment.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

_PROJECT = Path(__file__).parents[1]

_LIBRARIES = (
    "alembic.command",
    "celery.app.base",
    "celery.schedules",
    "click",
    "cryptography.fernet",
    "httpx",
    "jinja2",
    "kombu.transport.redis",
    "obstore.store",
    "protego",
    "psycopg",
    "redis",
    "rich.live",
    "rich.table",
    "sqlalchemy.dialects.postgresql.psycopg",
    "structlog",
    "yaml",
    "zstandard",
)
_REQUEST_BYTES = 1 << 17


def run(
    arguments: Sequence[str], env: Mapping[str, str], *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -m` with these arguments in the project's folder, as `subprocess.run` would."""
    (out, out_end), (err, err_end), (reply, reply_end) = os.pipe(), os.pipe(), os.pipe()
    request = json.dumps([arguments, dict(env)]).encode()
    with Path(os.devnull).open() as nothing:
        given = [nothing.fileno(), out_end, err_end, reply_end]
        socket.send_fds(_server(), [request], given)
    for descriptor in (out_end, err_end, reply_end):
        os.close(descriptor)
    with ThreadPoolExecutor(3) as pool, os.fdopen(reply) as told:
        pid = int(told.readline())
        said = [pool.submit(_read, one) for one in (out, err)]
        code = pool.submit(told.readline)
        try:
            return subprocess.CompletedProcess(
                list(arguments),
                int(code.result(timeout_s)),
                *(one.result(timeout_s) for one in said),
            )
        except TimeoutError as error:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout_s) from error


def _read(descriptor: int) -> str:
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


@cache
def _server() -> socket.socket:
    """Start the server of this process; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver"],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            env=kept | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(_PROJECT)},
            cwd=_PROJECT,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _serve() -> None:
    """Fork for every request, until nobody is left who could send one."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    requests = socket.socket(fileno=sys.stdin.fileno())
    request, descriptors, *_ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
    while request and os.fork():
        for descriptor in descriptors:
            os.close(descriptor)
        request, descriptors, *_ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
    requests.detach()
    if request:
        _start(*json.loads(request), descriptors)


def _start(arguments: list[str], env: dict[str, str], descriptors: list[int]) -> None:
    """Fork the process, tell its id and then its exit code."""
    *standard, reply = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        for descriptor in standard:
            os.close(descriptor)
        os.write(reply, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(reply, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(reply)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    _become(arguments, env)


def _become(arguments: list[str], env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    if "COVERAGE_PROCESS_CONFIG" in env or "COVERAGE_PROCESS_START" in env:
        importlib.import_module("coverage").process_startup()
    more = env.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [folder for folder in more if folder and folder not in sys.path]
    sys.argv[:] = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
