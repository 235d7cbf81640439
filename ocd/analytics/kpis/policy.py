"""Conditions over figures: when there is a reason, when a level is reached. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

#: A figure as the database returns it.
Number = int | float | Decimal

#: Worst first.
LEVELS = ("crit", "warn")
_FORM = re.compile(r"(abs )?([a-z][a-z0-9_]*) (<=|>=|<|>|=) (-?\d+(?:\.\d+)?)")
_OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Condition:
    """A figure, or its absolute value, held against a bound: `abs value > 0.30`."""

    name: str
    symbol: str
    bound: Decimal
    is_absolute: bool = False

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition; raises ValueError for any other form."""
        found = _FORM.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no condition such as 'value > 0.30' or 'abs value > 1'")
        absolute, name, symbol, bound = found.groups()
        return cls(name, symbol, Decimal(bound), bool(absolute))

    def holds(self, number: Number) -> bool:
        """Whether the figure meets it; a float counts as the decimal that it prints as."""
        exact = Decimal(str(number))
        return bool(_OPERATORS[self.symbol](abs(exact) if self.is_absolute else exact, self.bound))

    def __str__(self) -> str:
        return f"{'abs ' if self.is_absolute else ''}{self.name} {self.symbol} {self.bound}"


def level_of(thresholds: Mapping[str, Condition], value: Number | None) -> str | None:
    """Return crit, warn or ok; None where there is no value or nothing to hold it against."""
    if value is None or not thresholds:
        return None
    reached = (one for one in LEVELS if one in thresholds and thresholds[one].holds(value))
    return next(reached, "ok")


def reason_of(reasons: Mapping[str, Condition], inputs: Mapping[str, Number | None]) -> str:
    """Return the first reason whose condition holds; an input that is missing counts as 0."""
    found = (name for name, one in reasons.items() if one.holds(inputs[one.name] or 0))
    return next(found, "not_computable")
