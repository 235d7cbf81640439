"""Plain Celery habits work: each message makes its ledger row, none can carry an override."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from ocd.core.settings import PROJECT


def call(night, name: str, **params: object) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tasks.app",
            "call",
            name,
            f"--kwargs={json.dumps(params)}",
        ],
        env=night.env(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def wait_for_runs(night, count: int) -> list[dict]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [
            run for run in night.json("runs") if run["trigger"] == "celery" and run["finished_at"]
        ]
        if len(found) >= count:
            return found
    pytest.fail("no such run came")


def refusals(night) -> int:
    return (night.home / "logs" / "worker.log").read_text().count("raised unexpected")


def wait_for_refusal(night, count: int) -> None:
    deadline = time.monotonic() + 30
    while refusals(night) < count:
        assert time.monotonic() < deadline, "the worker did not refuse the message"
        time.sleep(0.1)


def test_a_plain_call_makes_its_own_row(night):
    call(night, "lifecycle.purge", dataset="agent_queries", dry_run=True)

    (run,) = wait_for_runs(night, 1)
    assert (run["job"], run["kind"], run["state"]) == ("lifecycle.purge", "dry", "done")


@pytest.mark.parametrize(
    "override", [{"force": True}, {"days": 1}, {"run_id": 1, "dataset": "agent_queries"}]
)
def test_a_message_can_carry_no_override(night, override):
    before = {run["id"]: (run["state"], run["generation"]) for run in night.json("runs")}
    failures = refusals(night)

    call(night, "lifecycle.purge", **override)

    wait_for_refusal(night, failures + 1)
    assert {run["id"]: (run["state"], run["generation"]) for run in night.json("runs")} == before
