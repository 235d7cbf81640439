"""The ledger's benchmark works, at a size at which its figures mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.figures import Figure
from ocd.core.settings import PROJECT

GATES = {
    "worker CPU per job, with ledger / without",
    "sweep at rest, 100 times the runs",
    "sweep sending a full page, 100 times the runs",
    "claim + finish, ledger / bare queue",
    "share of runs attempted and done exactly once",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[dict[str, Any], list[str]]:
    """One small run of everything: its figures by name, and what it left in the temporary folder."""
    folder = tmp_path_factory.mktemp("b")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ledger", "--json", "--scale", "0.01"],
        env={"PATH": os.defpath, "TMPDIR": str(folder), "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=170,
        cwd=PROJECT,
    )
    # 1 is a missed gate, and at this size a gate says nothing.
    assert done.returncode in {0, 1}, done.stderr
    figures = {one["name"].strip(): one for one in json.loads(done.stdout)}
    return figures, [path.name for path in folder.iterdir()]


def test_every_part_is_measured(measured):
    figures, _ = measured

    assert {name for name, one in figures.items() if one["gate"] is not None} == GATES
    assert all(one["measured"] > 0 for one in figures.values())


def test_every_run_that_is_delivered_twice_is_done_exactly_once(measured):
    figures, _ = measured

    assert figures["share of runs attempted and done exactly once"]["measured"] == 1.0


def test_nothing_is_left_behind(measured):
    _, left = measured

    assert left == []


@pytest.mark.parametrize(
    ("measured_ratio", "is_floor", "ok"),
    [(1.6, False, True), (1.7, False, False), (1.6, True, True), (1.5, True, False)],
    ids=["at the ceiling", "above the ceiling", "on the floor", "below the floor"],
)
def test_a_missed_gate_is_not_ok(measured_ratio, is_floor, ok):
    assert Figure("f", measured_ratio, gate=1.6, is_floor=is_floor).ok is ok


def test_a_figure_without_a_gate_is_only_told():
    assert Figure("f", 1e9).ok
