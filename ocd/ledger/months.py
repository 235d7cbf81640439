"""A cadence of calendar months. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from ocd.core.errors import ConfigError
from ocd.ledger.windows import Cadence, Window, day_window


@dataclass(frozen=True)
class Monthly(Cadence):
    """Calendar months of a zone, labelled such as 2026-11; a month's run is due `hour` hours after its end."""

    hour: int = 6
    zone: tzinfo = UTC

    @property
    def delay(self) -> timedelta:  # type: ignore[override]
        """How long after its end a month is due."""
        return timedelta(hours=self.hour)

    def in_zone(self, zone: tzinfo) -> Monthly:
        """Return the cadence of the same months in another zone."""
        return replace(self, zone=zone)

    def containing(self, instant: datetime) -> Window:
        """Return the month that the instant lies in."""
        return self._beginning(instant.astimezone(self.zone).date().replace(day=1))

    def parse(self, label: str) -> Window:
        """Return the month of a label such as 2026-11; raises ConfigError."""
        try:
            day = date.fromisoformat(f"{label}-01")
        except ValueError as error:
            raise ConfigError(f"window {label!r}: expected a month such as 2026-11") from error
        return self._beginning(day)

    def _beginning(self, first: date) -> Window:
        after = (first + timedelta(days=31)).replace(day=1)
        return Window(
            day_window(first, self.zone).start,
            day_window(after, self.zone).start,
            f"{first:%Y-%m}",
        )

    def __str__(self) -> str:
        where = "UTC" if str(self.zone) == "UTC" else f"after midnight, {self.zone}"
        return f"monthly, on the 1st {self.hour:02}:00 {where}"
