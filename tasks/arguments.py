"""What arguments a job takes: JSON scalars with defaults, read from its body's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from ocd.core.errors import ConfigError, UnknownName

EXPECTED = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Parameter:
    """One argument of a job: a str, int, float or bool with a default."""

    name: str
    type: type
    default: Any

    def parse(self, value: Any) -> Any:
        """Return the value in the parameter's type; raises ConfigError."""
        if isinstance(value, self.type) and not (self.type is int and isinstance(value, bool)):
            return value
        try:
            if self.type is bool:
                return {"true": True, "false": False}[str(value).lower()]
            return self.type(value)
        except (ValueError, TypeError, KeyError):
            # Without the value and its cause: an argument may name a customer, and this ends in Flower.
            raise ConfigError(f"--{self.name}: expected {EXPECTED[self.type]}") from None


def parameters_of(body: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return the body's parameters after the door, without `dry_run`."""
    hints = get_type_hints(body)
    found = list(inspect.signature(body).parameters.values())[1:]
    return tuple(
        Parameter(item.name, hints[item.name], item.default)
        for item in found
        if item.name != "dry_run"
    )


def takes_dry_run(body: Callable[..., Any]) -> bool:
    """Whether the job can show its plan."""
    return "dry_run" in inspect.signature(body).parameters


def bind(job: str, parameters: tuple[Parameter, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters with values; raises UnknownName for a misspelt one."""
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            raise UnknownName(f"parameter of {job}:", name, known or ["(none)"])
    return {
        name: known[name].parse(given[name]) if name in given else known[name].default
        for name in known
    }
