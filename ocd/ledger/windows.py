"""Windows: which span of time a run covers, computed in UTC from a cadence. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from ocd.core.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time [start, end), both UTC, and what people call it."""

    start: datetime
    end: datetime
    label: str = field(compare=False)

    @property
    def day(self) -> date:
        """The calendar day that the window is, in the zone of its cadence; raises ConfigError for others."""
        try:
            return date.fromisoformat(self.label)
        except ValueError as error:
            raise ConfigError(f"window {self.label} is not a day") from error


class Cadence:
    """How time is cut into windows without gaps, and when a window's run is due: `delay` after its end."""

    delay: timedelta
    #: Beat has the first word: a window counts as missed this long after it was due, two of beat's ticks.
    grace: timedelta = timedelta(minutes=30)

    def containing(self, instant: datetime) -> Window:
        """Return the window that the instant lies in."""
        raise NotImplementedError

    def parse(self, label: str) -> Window:
        """Return the window of a label; raises ConfigError."""
        raise NotImplementedError

    def in_zone(self, zone: tzinfo) -> Cadence:
        """Return the cadence for a shop in this time zone; the same where it knows no days."""
        return self

    def before(self, window: Window) -> Window:
        """Return the window that ends where this one starts."""
        return self.containing(window.start - _INSTANT)

    def after(self, window: Window) -> Window:
        """Return the window that starts where this one ends."""
        return self.containing(window.end)

    def last_closed(self, now: datetime) -> Window:
        """Return the newest window that is over at `now`."""
        return self.before(self.containing(now.astimezone(UTC)))

    def due(self, window: Window) -> datetime:
        """Return when the window's run is due."""
        return window.end + self.delay

    def last_due(self, now: datetime) -> Window:
        """Return the newest window whose run is due at `now`."""
        return self.last_closed(now - self.delay)

    def next_due(self, now: datetime) -> datetime:
        """Return when a run is due next."""
        return self.due(self.after(self.last_due(now)))

    def between(self, first: Window, last: Window) -> Iterator[Window]:
        """Yield the windows from `first` to `last`, both included, oldest first."""
        window = first
        while window <= last:
            yield window
            window = self.after(window)


@dataclass(frozen=True)
class Daily(Cadence):
    """Calendar days of a zone: 23 or 25 hours long where its clocks change.

    A day's run is due `hour`:`minute` after its end, counted in hours that pass, not read off a clock
    that may jump.
    """

    hour: int = 2
    minute: int = 0
    zone: tzinfo = UTC

    @property
    def delay(self) -> timedelta:  # type: ignore[override]
        """How long after its end a day is due."""
        return timedelta(hours=self.hour, minutes=self.minute)

    def in_zone(self, zone: tzinfo) -> Daily:
        """Return the cadence of the same days in another zone."""
        return replace(self, zone=zone)

    def containing(self, instant: datetime) -> Window:
        """Return the day that the instant lies in."""
        return day_window(instant.astimezone(self.zone).date(), self.zone)

    def parse(self, label: str) -> Window:
        """Return the window of a label such as 2026-11-23; raises ConfigError."""
        try:
            window = day_window(date.fromisoformat(label), self.zone)
        except ValueError as error:
            raise ConfigError(f"window {label!r}: expected a day such as 2026-11-23") from error
        if window.start == window.end:
            raise ConfigError(f"window {label!r}: {self.zone} had no such day")
        return window

    def __str__(self) -> str:
        where = "UTC" if str(self.zone) == "UTC" else f"after midnight, {self.zone}"
        return f"daily {self.hour:02}:{self.minute:02} {where}"


@dataclass(frozen=True)
class Every(Cadence):
    """Spans of equal length, counted from 1970 in UTC; a span's run is due `delay` after its end."""

    length: timedelta
    delay: timedelta = timedelta(minutes=5)

    @property
    def grace(self) -> timedelta:  # type: ignore[override]
        """A window shorter than beat's ticks is missed when the next one is due."""
        return min(self.length, Cadence.grace)

    def containing(self, instant: datetime) -> Window:
        """Return the span that the instant lies in."""
        start = _EPOCH + (instant - _EPOCH) // self.length * self.length
        return Window(
            start, start + self.length, f"{_instant_text(start)}/{_length_text(self.length)}"
        )

    def parse(self, label: str) -> Window:
        """Return the window of a label such as 2026-11-23T05:00Z; raises ConfigError."""
        try:
            start = datetime.fromisoformat(label.split("/", maxsplit=1)[0])
        except ValueError as error:
            raise ConfigError(
                f"window {label!r}: expected an instant such as 2026-11-23T05:00Z"
            ) from error
        return self.containing(start.replace(tzinfo=start.tzinfo or UTC).astimezone(UTC))

    def __str__(self) -> str:
        return f"every {_length_text(self.length)}, {_length_text(self.delay)} later"


def day_window(day: date, zone: tzinfo = UTC) -> Window:
    """Return the calendar day of a zone as a window; an empty one for a day that the zone skipped."""
    return Window(_midnight(day, zone), _midnight(day + timedelta(days=1), zone), day.isoformat())


def _midnight(day: date, zone: tzinfo) -> datetime:
    # Where clocks jump over midnight, or show it twice, `fold=0` gives the instant at which the day begins.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _instant_text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}" if instant.second else f"{instant:%Y-%m-%dT%H:%MZ}"


def _length_text(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
