"""Measure, print, judge: `python -m benchmarks.lifecycle [--only …] [--json] [--rows N] [--rounds N]`."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.ledger.figures import show
from benchmarks.lifecycle import backup

PARTS = {"backup": backup.measure}


def main() -> int:
    """Return 0, or 1 where a gate was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lifecycle", description=__doc__)
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure this part; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take medians of")
    options = parser.parse_args()
    figures = [
        figure
        for part in options.only or PARTS
        for figure in PARTS[part](options.rows, options.rounds, _tell)
    ]
    if options.json:
        print(json.dumps([one.as_json() for one in figures], indent=2))
    else:
        show(figures)
    return 0 if all(one.ok for one in figures) else 1


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
