"""Measure, print, judge: `python -m benchmarks.lifecycle [--only PART] [--json] [--rows 1000000] [--rounds 3]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks.figures import Figure, parser, progress, told
from benchmarks.lifecycle import backup, purge

#: Each part takes the options and where to tell of its progress; figures that share a server share a part.
PARTS: dict[str, Callable[[argparse.Namespace, Callable[[str], None]], list[Figure]]] = {
    "purge": purge.measure,
    "backup": backup.measure,
}


def main() -> int:
    """Return 0, or 1 where a gate was missed."""
    options = _options()
    wanted = options.only or list(PARTS)
    figures = [one for name in wanted for one in PARTS[name](options, progress)]
    return told(figures, is_json=options.json)


def _options() -> argparse.Namespace:
    options = parser("lifecycle", __doc__, PARTS)
    options.add_argument("--rows", type=int, default=1_000_000, help="rows of the measured table")
    options.add_argument("--rounds", type=int, default=3, help="rounds of which the median counts")
    options.add_argument(
        "--times", type=int, default=3, help="times the rows in the table that shows what grows"
    )
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
