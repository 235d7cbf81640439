"""Measure, print, judge: `python -m benchmarks.sources [--only …] [--json] [--scale 1.0] [--peer PYTHON]`."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.ledger.figures import Figure, show
from benchmarks.sources import ga4, sitemaps

PARTS = ("ga4", "sitemaps")


def main() -> int:
    """Return 0, or 1 where a gate was missed."""
    options = _options()
    figures: list[Figure] = []
    for name in options.only or PARTS:
        print(f"{name} …", file=sys.stderr, flush=True)
        if name == "ga4":
            figures += ga4.measure(options.scale)
        else:
            figures += sitemaps.measure(options.scale, options.peer)
    if options.json:
        print(json.dumps([one.as_json() for one in figures], indent=2))
    else:
        show(figures)
    return 0 if all(one.ok for one in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__)
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure this part; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="a part of the rows and URLs, to try it out"
    )
    parser.add_argument("--peer", help="Python of an environment with ultimate-sitemap-parser")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
