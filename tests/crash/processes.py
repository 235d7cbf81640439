"""A worker or a beat as a process group of its own, with a log, to be stopped in every bad way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ocd.core.settings import PROJECT


def until(holds: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Wait until it holds; fails with `what` was waited for."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.03)


@dataclass
class Process:
    """One of Celery's programs: the parent, its children, its log."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, name: str, arguments: list[str], environment: Mapping[str, str], folder: Path
    ) -> Process:
        """Start `python -m …` in a session of its own."""
        log = folder / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=PROJECT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return cls(name, popen, log)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def count(self, text: str) -> int:
        return self.said().count(text)

    def wait_for(self, text: str, *, times: int = 1, timeout_s: float = 30.0) -> None:
        until(
            lambda: self.count(text) >= times or not self.is_alive(),
            f"{self.name} says {text!r}",
            timeout_s,
        )
        assert self.count(text) >= times, f"{self.name} ended before it said {text!r}"

    def children(self) -> list[psutil.Process]:
        """The pool's processes, oldest first."""
        with suppress(psutil.NoSuchProcess):
            return sorted(psutil.Process(self.pid).children(), key=lambda one: one.pid)
        return []

    def signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL parent and children at once; the log stays."""
        self.signal_group(signal.SIGKILL)
        self.popen.wait(10)

    def freeze(self) -> None:
        self.signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal_group(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM to the parent alone, as a supervisor does."""
        self.popen.terminate()

    def wait(self, timeout_s: float) -> float:
        """Wait for the end; returns the seconds it took."""
        started = time.monotonic()
        self.popen.wait(timeout_s)
        return time.monotonic() - started
