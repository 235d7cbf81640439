"""Measure, print, judge: `python -m benchmarks.lifecycle [--only PART] [--json] [--rows 1000000] [--rounds 3]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from benchmarks.ledger.figures import Figure, show
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
    figures = [one for name in wanted for one in PARTS[name](options, _tell)]
    if options.json:
        print(json.dumps([one.as_json() for one in figures], indent=2))
    else:
        show(figures)
    return 0 if all(one.ok for one in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lifecycle", description=__doc__)
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure this part; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the measured table")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of which the median counts")
    parser.add_argument(
        "--times", type=int, default=3, help="times the rows in the table that shows what grows"
    )
    return parser.parse_args()


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
