"""Rules of this house that no linter knows."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest

from ocd.core.settings import PROJECT

SOURCES = [path for room in ("ocd", "tasks") for path in (PROJECT / room).rglob("*.py")]
NAMELESS = {"utils.py", "helpers.py", "common.py", "manager.py", "service.py"}


def code_lines(path: Path) -> int:
    return sum(
        1
        for line in path.read_text().splitlines()
        if line.strip() and not line.strip().startswith("#")
    )


def test_every_sql_file_is_named_by_code():
    naming = [*SOURCES, *(PROJECT / "ocd").rglob("*.yml")]
    code = "\n".join(path.read_text() for path in naming)

    assert [str(path) for path in (PROJECT / "ocd").rglob("*.sql") if path.name not in code] == []


def test_every_sql_file_says_what_it_returns():
    files = list((PROJECT / "ocd").rglob("*.sql"))

    assert [
        path.name
        for path in files
        if not re.search(r"^-- Returns:", path.read_text(), re.MULTILINE)
    ] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_module_is_too_long_or_nameless(path):
    assert code_lines(path) <= 400
    assert path.name not in NAMELESS


def test_a_job_body_is_a_door_of_at_most_ten_lines():
    long = []
    for path in (PROJECT / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_job = isinstance(node, ast.FunctionDef) and any(
                isinstance(one, ast.Call) and getattr(one.func, "id", "") == "job"
                for one in node.decorator_list
            )
            if is_job and node.end_lineno - node.body[1].lineno + 1 > 10:
                long.append(f"{path.name}:{node.name}")

    assert long == []


def test_schedule_and_jobs_agree_in_both_directions():
    from beat_schedule import SCHEDULE
    from tasks.flows import FLOWS
    from tasks.registry import JOBS
    from tasks.scheduler import known_entries

    entries = {entry["task"] for entry in SCHEDULE.values()}
    in_flows = {step.job for flow in FLOWS for step in flow.steps if f"flow.{flow.name}" in entries}
    assert entries <= known_entries()
    on_demand = {name for name, job in JOBS.items() if job.facts.is_on_demand}
    assert set(JOBS) - on_demand <= entries | in_flows
    assert not on_demand & (entries | in_flows)
    assert all("expires" in entry["options"] for entry in SCHEDULE.values())


def test_every_job_sets_its_name_queue_and_retries():
    from tasks.registry import JOBS

    assert all(
        job.celery.acks_late is not False and job.celery.max_retries == 2 for job in JOBS.values()
    )
    assert {job.facts.queue for job in JOBS.values()} <= {"short", "long", "io", "ml", "restore"}


def test_the_lock_files_name_no_host():
    text = "".join(path.read_text() for path in PROJECT.glob("requirements*.lock"))

    assert not re.search(r"https?://|--index|--find-links|file:", text)


def test_help_answers_at_once(record_property):
    """The figure is reported; what is held is that the heavy modules stay unloaded."""
    import subprocess
    import sys

    started = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import sys; from tasks.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
                "print([name for name in ('celery', 'sqlalchemy', 'httpx', 'rich') if name in sys.modules])"
            ),
        ],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=True,
    )

    record_property("seconds", time.monotonic() - started)
    assert done.stdout.strip().endswith("[]")
