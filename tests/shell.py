"""`ocd …` as a person types it, in a home of the test's own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ocd.core.embedded import Servers
from ocd.core.settings import PROJECT
from tests import forkserver


def _run_fresh(
    arguments: Sequence[str], env: Mapping[str, str], *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=PROJECT,
    )


@dataclass
class Shell:
    """Runs `ocd …` as a person would, with a clean environment."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    #: Of Flower, the API's behind it: two that look for a free one at once would take the same.
    port: int = field(default_factory=lambda: 20_000 + 100 * secrets.randbelow(100))
    #: Each command in an interpreter of its own, as the process list would show it.
    is_fresh: bool = False

    def env(self, **more: str) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in (
                *("HOME", "LANG", "TMPDIR"),
                *("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"),
            )
            if name in os.environ
        }
        own = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PROJECT),
            "OCD_HOME": str(self.home),
            "OCD_FLOWER_PORT": str(self.port),
            "OCD_API_PORT": str(self.port + 50),
        }
        return kept | own | self.environment | more

    def __call__(
        self, *arguments: str, code: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        run = _run_fresh if self.is_fresh else forkserver.run
        done = run(["tasks.cli", *arguments], self.env(**env), timeout_s=120)
        assert code is None or done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def keep_up(self) -> None:
        """Start servers, worker and Flower, and leave them up; commands that need a worker find it."""
        done = forkserver.run(["tests.keep_up"], self.env(), timeout_s=120)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def attached(self) -> Iterator[Servers]:
        """Keep the home's servers up between commands, as somebody else's command would."""
        servers = Servers(self.home)
        servers.attach(with_redis=True)
        try:
            yield servers
        finally:
            servers.release()

    def json(self, *arguments: str, **options: Any) -> Any:
        return json.loads(self(*arguments, "--json", **options).stdout)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tasks.cli", *arguments],
            env=self.env(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT,
        )


_HOME = "ocd-home-"


@contextmanager
def fresh_home() -> Iterator[Shell]:
    """A shell with a home that is not there yet; afterwards all that ran there is down and gone."""
    with tempfile.TemporaryDirectory(prefix=f"{_HOME}{os.getpid()}-") as folder:
        Path(folder).chmod(0o711)  # whoever runs PostgreSQL has to pass through
        made = Shell(Path(folder) / ".ocd")
        try:
            yield made
        finally:
            made.environment = {}
            made("down")


def sweep_homes() -> None:
    """Stop and remove the homes of test processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_HOME}*"):
        pid = int(folder.name.removeprefix(_HOME).split("-")[0])
        if folder.stat().st_uid == os.geteuid() and not psutil.pid_exists(pid):
            Shell(folder / ".ocd")("down", code=None)
            shutil.rmtree(folder)
