"""Windows: which span of time a run covers, computed in UTC from a cadence. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ocd.core.errors import ConfigError


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time [start, end), both UTC."""

    start: datetime
    end: datetime

    @property
    def label(self) -> str:
        """How people call it: a day is `2026-11-23`, anything else `start/length`."""
        if self.end - self.start == timedelta(days=1) and self.start.hour == self.start.minute == 0:
            return self.start.date().isoformat()
        minutes = int((self.end - self.start).total_seconds() // 60)
        return f"{self.start:%Y-%m-%dT%H:%MZ}/{minutes}m"


@dataclass(frozen=True)
class Daily:
    """UTC calendar days; a day's run is due at `hour`:`minute` of the next."""

    hour: int = 2
    minute: int = 0

    def last_closed(self, now: datetime) -> Window:
        """Return the newest window that is over at `now`."""
        return day_window(now.astimezone(UTC).date() - timedelta(days=1))

    def next_due(self, now: datetime) -> datetime:
        """Return when the schedule ticks next."""
        due = _midnight(now.astimezone(UTC).date()) + timedelta(
            hours=self.hour, minutes=self.minute
        )
        return due if due > now else due + timedelta(days=1)

    def parse(self, label: str) -> Window:
        """Return the window of a label; raises ConfigError."""
        try:
            return day_window(date.fromisoformat(label))
        except ValueError as error:
            raise ConfigError(f"window {label!r}: expected a day such as 2026-11-23") from error

    def between(self, first: Window, last: Window) -> Iterator[Window]:
        """Yield the windows from `first` to `last`, both included."""
        day = first.start.date()
        while day <= last.start.date():
            yield day_window(day)
            day += timedelta(days=1)

    def __str__(self) -> str:
        return f"daily {self.hour:02}:{self.minute:02} UTC"


@dataclass(frozen=True)
class Hourly:
    """UTC hours; an hour's run is due `minute` minutes into the next."""

    minute: int = 5

    def last_closed(self, now: datetime) -> Window:
        """Return the newest window that is over at `now`."""
        end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return Window(end - timedelta(hours=1), end)

    def next_due(self, now: datetime) -> datetime:
        """Return when the schedule ticks next."""
        due = now.astimezone(UTC).replace(minute=self.minute, second=0, microsecond=0)
        return due if due > now else due + timedelta(hours=1)

    def parse(self, label: str) -> Window:
        """Return the window of a label such as 2026-11-23T05; raises ConfigError."""
        try:
            start = datetime.fromisoformat(label.split("/", maxsplit=1)[0])
        except ValueError as error:
            raise ConfigError(
                f"window {label!r}: expected an hour such as 2026-11-23T05:00Z"
            ) from error
        start = start.replace(tzinfo=start.tzinfo or UTC).astimezone(UTC)
        start = start.replace(minute=0, second=0, microsecond=0)
        return Window(start, start + timedelta(hours=1))

    def between(self, first: Window, last: Window) -> Iterator[Window]:
        """Yield the windows from `first` to `last`, both included."""
        start = first.start
        while start <= last.start:
            yield Window(start, start + timedelta(hours=1))
            start += timedelta(hours=1)

    def __str__(self) -> str:
        return f"hourly at :{self.minute:02}"


Cadence = Daily | Hourly


def day_window(day: date) -> Window:
    """Return the UTC calendar day as a window."""
    start = _midnight(day)
    return Window(start, start + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
