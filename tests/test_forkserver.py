"""What the fork server starts is as what a person starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocd.core.settings import PROJECT
from tests import forkserver

PROGRAM = """
import os, signal, sys, time
print("out", os.getpid(), os.environ.get("SAID"), sys.argv[1:], "ocd" in sys.modules, sys.stdin.read())
print("err", file=sys.stderr)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "sleeps":
    time.sleep(60)
if __name__ == "__main__":
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """The environment in which `program` is a module."""
    (tmp_path / "program.py").write_text(PROGRAM)
    return {"PATH": os.defpath, "PYTHONPATH": f"{tmp_path}:{PROJECT}", "SAID": "a word"}


def test_environment_arguments_streams_and_exit_code_are_its_own(program):
    done = forkserver.run(["program", "3"], program, timeout_s=20)

    word, pid, *rest = done.stdout.split(maxsplit=2)
    assert (word, rest) == ("out", ["a word ['3'] False \n"])
    assert int(pid) not in {0, os.getpid()}
    assert (done.stderr, done.returncode) == ("err\n", 3)


def test_it_is_what_a_new_interpreter_would_have_done(program):
    fresh = subprocess.run(
        [sys.executable, "-m", "tasks.cli", "show"],
        env=program, cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip

    forked = forkserver.run(["tasks.cli", "show"], program, timeout_s=20)

    assert (forked.returncode, forked.stdout) == (fresh.returncode, fresh.stdout) == (2, "")
    assert forked.stderr == fresh.stderr


def test_one_that_was_killed_says_so(program):
    done = forkserver.run(["program", "killed"], program, timeout_s=20)

    assert done.returncode == -signal.SIGKILL


def test_one_that_takes_too_long_is_ended(program):
    with pytest.raises(subprocess.TimeoutExpired):
        forkserver.run(["program", "sleeps"], program, timeout_s=0.5)
