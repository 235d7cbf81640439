"""Charts as inline SVG: pure functions of numbers, readable without colour, script or network.

Every chart is a `figure` with a title for eyes and screen readers, and its numbers in a table that opens.
Colours come from the frame's style, for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from markupsafe import Markup

from ocd.core.pages.render import count

#: In units of the drawing; at 13 px a label stays readable on a phone.
WIDTH, HEIGHT = 480, 200
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 26
#: The frame has this many colours; more lines in one chart cannot be told apart anyway.
MAX_SERIES = 5
#: The table under a line chart shows this many of the newest points.
MAX_ROWS = 60

Shown = Callable[[float | None], str]


@dataclass(frozen=True)
class Series:
    """One line: its name and its points in time order; a None is a gap, never a zero."""

    name: str
    points: Sequence[tuple[datetime, float | None]]


def lines(title: str, series: Sequence[Series], *, shown: Shown = count) -> Markup:
    """Draw values over time; `shown` puts a value into words (`render.size`, `render.span`, …).

    Raises ValueError for more than MAX_SERIES.
    """
    if len(series) > MAX_SERIES:
        raise ValueError(f"{title}: {len(series)} lines; at most {MAX_SERIES} can be told apart")
    known = [(at, value) for one in series for at, value in one.points if value is not None]
    if not known:
        return _figure(title, Markup("<p class='soft'>no values yet</p>"), Markup(""))
    first, last = min(at for at, _ in known), max(at for at, _ in known)
    top = _ceiling(max(value for _, value in known))
    bottom = min(0.0, *(value for _, value in known))

    def place(at: datetime, value: float) -> tuple[float, float]:
        share = (at - first) / (last - first) if last > first else 0.5
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    drawn = [
        _value_axis(bottom, top, shown),
        _time_axis(first, last),
        *(_line(number, one, place) for number, one in enumerate(series, 1)),
    ]
    legend = _legend([one.name for one in series]) if len(series) > 1 else Markup("")
    return _figure(title, _svg(title, drawn) + legend, _points_table(series, shown))


def bars(title: str, values: Sequence[tuple[str, float]], *, shown: Shown = count) -> Markup:
    """Draw one horizontal bar per (name, value), in the order given; values are not negative."""
    if not values:
        return _figure(title, Markup("<p class='soft'>no values yet</p>"), Markup(""))
    top = max(value for _, value in values) or 1.0
    step, thick = 34, 12
    drawn = [
        Markup(
            "<text x='0' y='{y}'>{name}</text><text x='{right}' y='{y}' text-anchor='end'>{value}</text>"
            "<rect x='0' y='{bar}' width='{width}' height='{thick}' rx='2' style='fill: var(--series-1)'/>"
        ).format(
            y=number * step + 13,
            bar=number * step + 18,
            right=WIDTH,
            width=round(max(value / top * WIDTH, 1), 1),
            thick=thick,
            name=name,
            value=shown(value),
        )
        for number, (name, value) in enumerate(values)
    ]
    rows = [(name, shown(value)) for name, value in values]
    return _figure(
        title, _svg(title, drawn, height=len(values) * step), _table(("", "value"), rows)
    )


def _ceiling(value: float) -> float:
    """Return the next 1, 2, 2.5 or 5 times a power of ten: where an axis ends."""
    if value < 1e-300:  # nothing, or too little for a logarithm of its own
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if value <= step * power * (1 + 1e-9))


def _value_axis(bottom: float, top: float, shown: Shown) -> Markup:
    ticks = [bottom, (bottom + top) / 2, top]
    parts = []
    for value in ticks:
        y = round(HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)
        parts.append(
            Markup(
                "<line class='axis' x1='{left}' x2='{right}' y1='{y}' y2='{y}'/>"
                "<text x='{edge}' y='{base}' text-anchor='end'>{said}</text>"
            ).format(
                left=LEFT, right=WIDTH - RIGHT, y=y, edge=LEFT - 6, base=y + 4, said=shown(value)
            )
        )
    return Markup("").join(parts)


def _time_axis(first: datetime, last: datetime) -> Markup:
    ends = [(LEFT, "start", first)] + ([(WIDTH - RIGHT, "end", last)] if last > first else [])
    is_short = (last - first).days < 2
    return Markup("").join(
        Markup("<text x='{x}' y='{y}' text-anchor='{anchor}'>{said}</text>").format(
            x=x, y=HEIGHT - 6, anchor=anchor, said=_moment(at, with_time=is_short)
        )
        for x, anchor, at in ends
    )


def _moment(at: datetime, *, with_time: bool) -> str:
    return f"{at.astimezone(UTC):%m-%d %H:%M}" if with_time else f"{at.astimezone(UTC):%Y-%m-%d}"


def _line(
    number: int, series: Series, place: Callable[[datetime, float], tuple[float, float]]
) -> Markup:
    """Draw runs of known values as lines, each point as a dot, gaps as gaps."""
    parts = []
    for is_known, run in groupby(series.points, key=lambda point: point[1] is not None):
        if not is_known:
            continue
        placed = [place(at, value) for at, value in run if value is not None]
        path = " ".join(f"{x},{y}" for x, y in placed)
        parts.append(
            Markup(
                "<polyline class='series' points='{}' style='stroke: var(--series-{})'/>"
            ).format(path, number)
        )
        parts += [
            Markup("<circle cx='{}' cy='{}' r='2.5' style='fill: var(--series-{})'/>").format(
                x, y, number
            )
            for x, y in placed[-MAX_ROWS:]
        ]
    return Markup("").join(parts)


def _legend(names: Sequence[str]) -> Markup:
    items = Markup("").join(
        Markup(
            "<li><svg viewBox='0 0 12 12' aria-hidden='true'><rect width='12' height='12' rx='2'"
            " style='fill: var(--series-{})'/></svg>{}</li>"
        ).format(number, name)
        for number, name in enumerate(names, 1)
    )
    return Markup("<ul class='legend'>{}</ul>").format(items)


def _svg(title: str, drawn: Sequence[Markup], *, height: float = HEIGHT) -> Markup:
    return Markup(
        "<svg viewBox='0 0 {} {}' role='img' aria-label='{}; its numbers are in the table below'>{}</svg>"
    ).format(WIDTH, height, title, Markup("").join(drawn))


def _points_table(series: Sequence[Series], shown: Shown) -> Markup:
    moments = sorted({at for one in series for at, _ in one.points})[-MAX_ROWS:]
    known = [dict(one.points) for one in series]
    rows = [
        (_moment(at, with_time=True), *(shown(one.get(at)) for one in known))
        for at in reversed(moments)
    ]
    return _table(("when (UTC)", *(one.name for one in series)), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    top = Markup("").join(
        Markup("<th scope='col'{}>{}</th>").format(_number(place), name)
        for place, name in enumerate(head)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td{}>{}</td>").format(_number(place), cell)
                for place, cell in enumerate(row)
            )
        )
        for row in rows
    )
    return Markup(
        "<div class='wide' tabindex='0' role='region' aria-label='numbers'><table><thead><tr>{}</tr></thead>"
        "<tbody>{}</tbody></table></div>"
    ).format(top, body)


def _number(place: int) -> Markup:
    return Markup(" class='number'") if place else Markup("")


def _figure(title: str, picture: Markup, table: Markup) -> Markup:
    numbers = Markup("<details><summary>numbers</summary>{}</details>").format(table)
    return Markup("<figure><figcaption>{}</figcaption>{}{}</figure>").format(
        title, picture, numbers if table else Markup("")
    )
