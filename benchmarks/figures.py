"""A measured figure, what it may be at most or must be at least; and the command line around them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measurement; `gate` fails the run, `goal` is what we aim at. Without a gate it is only told."""

    name: str
    measured: float
    unit: str = ""
    gate: float | None = None
    goal: float | None = None
    is_floor: bool = False

    @property
    def ok(self) -> bool:
        """Whether the gate holds."""
        if self.gate is None:
            return True
        return self.measured >= self.gate if self.is_floor else self.measured <= self.gate

    def as_json(self) -> dict[str, Any]:
        """Return the figure with its verdict."""
        return asdict(self) | {"ok": self.ok}

    def bound(self, value: float | None) -> str:
        """Return a limit in words, nothing where there is none."""
        return "" if value is None else f"{'>=' if self.is_floor else '<='} {value:g}"


def show(figures: list[Figure]) -> None:
    """Print the table."""
    table = Table("figure", "measured", "gate", "goal", "ok")
    for one in figures:
        verdict = "" if one.gate is None else "yes" if one.ok else "NO"
        measured = f"{one.measured:,.2f} {one.unit}".strip()
        table.add_row(one.name, measured, one.bound(one.gate), one.bound(one.goal), verdict)
    Console(width=110).print(table)


def parser(package: str, about: str | None, parts: Iterable[str]) -> argparse.ArgumentParser:
    """Return the parser that every benchmark of parts begins with."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{package}", description=about)
    made.add_argument(
        "--only", choices=list(parts), action="append", help="measure this part; repeatable"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return made


def progress(text: str) -> None:
    """Say how far it is, where it is in nobody's way."""
    print(text, file=sys.stderr, flush=True)


def told(figures: list[Figure], *, is_json: bool) -> int:
    """Print all figures; returns the exit code: 0, or 1 where a gate was missed."""
    if is_json:
        print(json.dumps([one.as_json() for one in figures], indent=2))
    else:
        show(figures)
    return 0 if all(one.ok for one in figures) else 1
