"""Measure, print, judge: `python -m benchmarks.ledger [--only …] [--json] [--scale 1.0] [--seed N] [--plans]`."""

from __future__ import annotations

import argparse
import sys

from benchmarks.figures import parser, progress, told
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
            figures += worker.measure(home, options.scale, progress)
        if "sweep" in wanted:
            figures += sweep.measure(options.scale, progress, with_plans=options.plans)
        if "claims" in wanted:
            figures += claims.measure(options.scale, options.seed, progress)
    return told(figures, is_json=options.json)


def _options() -> argparse.Namespace:
    options = parser("ledger", __doc__, PARTS)
    options.add_argument(
        "--scale", type=float, default=1.0, help="a part of the numbers, to try it out"
    )
    options.add_argument(
        "--seed", type=int, default=1, help="for the order of duplicate deliveries"
    )
    options.add_argument(
        "--plans", action="store_true", help="print the plans of a sweep's statements"
    )
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
