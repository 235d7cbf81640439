"""Measure, print, judge: `python -m benchmarks.sources [--only …] [--json] [--scale 1.0] [--peer PYTHON]`."""

from __future__ import annotations

import argparse
import sys

from benchmarks.figures import Figure, parser, progress, told
from benchmarks.sources import ga4, sitemaps

PARTS = ("ga4", "sitemaps")


def main() -> int:
    """Return 0, or 1 where a gate was missed."""
    options = _options()
    figures: list[Figure] = []
    for name in options.only or PARTS:
        progress(f"{name} …")
        if name == "ga4":
            figures += ga4.measure(options.scale)
        else:
            figures += sitemaps.measure(options.scale, options.peer)
    return told(figures, is_json=options.json)


def _options() -> argparse.Namespace:
    options = parser("sources", __doc__, PARTS)
    options.add_argument(
        "--scale", type=float, default=1.0, help="a part of the rows and URLs, to try it out"
    )
    options.add_argument("--peer", help="Python of an environment with ultimate-sitemap-parser")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
