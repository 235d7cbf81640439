"""Measure, print, judge: `python -m benchmarks.ledger [--only …] [--json] [--scale 1.0] [--seed N] [--plans]`."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.ledger.figures import show
from benchmarks.ledger.home import temporary_home

PARTS = ("worker", "sweep", "claims")


def main() -> int:
    """Return 0, or 1 where a gate was missed."""
    options = _options()
    wanted = options.only or PARTS
    figures = []
    with temporary_home() as home:
        # Modules with jobs configure Celery, so they may be imported only once the home is there.
        from benchmarks.ledger import claims, sweep, worker

        if "worker" in wanted:
            figures += worker.measure(home, options.scale, _tell)
        if "sweep" in wanted:
            figures += sweep.measure(options.scale, _tell, with_plans=options.plans)
        if "claims" in wanted:
            figures += claims.measure(options.scale, options.seed, _tell)
    if options.json:
        print(json.dumps([one.as_json() for one in figures], indent=2))
    else:
        show(figures)
    return 0 if all(one.ok for one in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure this part; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="a part of the numbers, to try it out"
    )
    parser.add_argument("--seed", type=int, default=1, help="for the order of duplicate deliveries")
    parser.add_argument(
        "--plans", action="store_true", help="print the plans of a sweep's statements"
    )
    return parser.parse_args()


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
