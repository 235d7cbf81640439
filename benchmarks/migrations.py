"""How long the migrations take: up, down and up again on an empty server, and all of their tests.

    python -m benchmarks.migrations --json

Exit code 1 where the schema is another one after the way down and up, or a test fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable

from sqlalchemy import NullPool, create_engine

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.settings import PROJECT
from ocd.database import catalog

TESTS = "tests/migrations"


def seconds(deed: Callable[[], object]) -> float:
    """Return how long it took."""
    started = time.perf_counter()
    deed()
    return time.perf_counter() - started


def lines(url: str) -> list[str]:
    """Return the schema's lines."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as conn:
        return catalog.lines(conn)


def ways() -> tuple[dict[str, float], bool]:
    """Return seconds by the way gone, and whether the schema is the same again."""
    with scratch_postgres() as url:
        up = seconds(lambda: migrate.upgrade(url))
        first = lines(url)
        down = seconds(lambda: migrate.downgrade(url, "base"))
        again = seconds(lambda: migrate.upgrade(url))
        return {"up": up, "down": down, "up_again": again}, lines(url) == first


def run_tests(path: str) -> tuple[float, bool]:
    """Return how many seconds the tests take, and whether they pass."""
    command = [sys.executable, "-m", "pytest", path, "-n", "0", "-q"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    return time.perf_counter() - started, done.returncode == 0


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrations", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    took, is_same = ways()
    took["tests"], passed = run_tests(TESTS)
    is_well = is_same and passed
    if options.json:
        print(json.dumps({"seconds": took, "is_well": is_well}, indent=1))
    else:
        print("| what | seconds |\n|---|---|")
        print("\n".join(f"| {name} | {value:.1f} |" for name, value in took.items()))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
