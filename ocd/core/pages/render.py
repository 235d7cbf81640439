"""Fill templates into self-contained HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

#: What stands where a value is not known.
UNKNOWN = "\N{EN DASH}"


def render(anchor: str, template: str, **values: Any) -> bytes:
    """Return the page of a template that lies beside the module `anchor` (its `__file__`), as UTF-8.

    Templates extend `frame.html`, which asks for the blocks `title` and `content`. Values are escaped; a
    missing one raises jinja2.UndefinedError rather than leaving a hole in the page.
    """
    environment = Environment(
        loader=ChoiceLoader(
            [FileSystemLoader(Path(anchor).parent), FileSystemLoader(Path(__file__).parent)]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"instant": instant, "count": count, "size": size, "span": span}
    return environment.get_template(template).render(**values).encode()


def instant(value: datetime | None) -> str:
    """Return `2026-11-26 02:00 UTC`; a dash for None."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if value else UNKNOWN


def count(value: float | None) -> str:
    """Return `12,345`; a dash for None."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def size(value: float | None) -> str:
    """Return bytes as `1.2 MB`; a dash for None."""
    if value is None:
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def span(value: float | None) -> str:
    """Return seconds as `45 s`, `12 min`, `3.5 h` or `12 d`; a dash for None."""
    if value is None:
        return UNKNOWN
    for limit, unit, seconds in ((60, "s", 1), (3600, "min", 60), (86400 * 2, "h", 3600)):
        if abs(value) < limit:
            return f"{value / seconds:.3g} {unit}"
    return f"{value / 86400:.0f} d"
