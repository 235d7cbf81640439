"""A measured figure, what it may be at most or must be at least, and the table of all."""

from __future__ import annotations

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
