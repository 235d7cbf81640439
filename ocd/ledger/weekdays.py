"""A cadence of weekdays: each window reaches from one of them to the next. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from ocd.core.errors import ConfigError
from ocd.ledger.windows import Cadence, Window, day_window

_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Weekdays(Cadence):
    """Spans between weekdays of a zone (0 is Monday), labelled by the day they begin on.

    A span's run is due `hour` hours after its end: with Monday and Thursday, on these mornings.
    """

    days: tuple[int, ...]
    hour: int = 5
    zone: tzinfo = UTC

    @property
    def delay(self) -> timedelta:  # type: ignore[override]
        """How long after its end a span is due."""
        return timedelta(hours=self.hour)

    def in_zone(self, zone: tzinfo) -> Weekdays:
        """Return the cadence of the same days in another zone."""
        return replace(self, zone=zone)

    def containing(self, instant: datetime) -> Window:
        """Return the span that the instant lies in."""
        return self._beginning(self._at_or_before(instant.astimezone(self.zone).date()))

    def parse(self, label: str) -> Window:
        """Return the span of a label such as 2026-11-23; raises ConfigError."""
        try:
            day = date.fromisoformat(label)
        except ValueError as error:
            raise ConfigError(f"window {label!r}: expected a day such as 2026-11-23") from error
        if day.weekday() not in self.days:
            raise ConfigError(f"window {label!r}: it begins on {self._day_names()}, this is none")
        return self._beginning(day)

    def _at_or_before(self, day: date) -> date:
        while day.weekday() not in self.days:
            day -= timedelta(days=1)
        return day

    def _beginning(self, day: date) -> Window:
        after = day + timedelta(days=1)
        while after.weekday() not in self.days:
            after += timedelta(days=1)
        return Window(
            day_window(day, self.zone).start, day_window(after, self.zone).start, day.isoformat()
        )

    def _day_names(self) -> str:
        return " and ".join(_NAMES[day] for day in self.days)

    def __str__(self) -> str:
        where = "UTC" if self.zone is UTC else f"after midnight, {self.zone}"
        return f"{self._day_names()} {self.hour:02}:00 {where}"
