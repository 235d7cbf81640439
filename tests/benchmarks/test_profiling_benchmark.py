"""The profile's benchmark works, at a size at which its ratio means nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.profiling import MAX_MB
from ocd.core.settings import PROJECT


def test_both_sides_are_measured_and_ours_stays_small():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.profiling", "--json", "--rows", "2000"],
        env={"PATH": os.defpath, "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=170,
        cwd=PROJECT,
    )

    assert done.returncode in {0, 1}, done.stderr
    figures = json.loads(done.stdout)
    assert figures["rows"] == 2_000
    assert min(figures["our_s"], figures["duckdb_s"]) > 0
    assert 0 < figures["our_mb"] <= MAX_MB
