"""A month is a window: no gap, no overlap, whatever the clocks of its zone do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ocd.core.errors import ConfigError
from ocd.ledger.months import Monthly


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Apia"])
def test_months_follow_each_other_without_a_gap(zone):
    cadence = Monthly().in_zone(ZoneInfo(zone))
    window = cadence.parse("2025-12")

    for label in ("2026-01", "2026-02", "2026-03", "2026-04"):
        after = cadence.after(window)
        assert (after.label, after.start) == (label, window.end)
        assert cadence.before(after) == window
        window = after


def test_a_month_is_due_on_the_first_of_the_next():
    cadence = Monthly()

    assert cadence.due(cadence.parse("2026-02")) == datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert cadence.last_due(datetime(2026, 3, 1, 5, 59, tzinfo=UTC)).label == "2026-01"
    assert cadence.last_due(datetime(2026, 3, 1, 6, tzinfo=UTC)).label == "2026-02"


def test_a_month_belongs_to_the_shops_days():
    late = datetime(2026, 3, 1, 3, tzinfo=UTC)

    assert Monthly().containing(late).label == "2026-03"
    assert Monthly().in_zone(ZoneInfo("America/Los_Angeles")).containing(late).label == "2026-02"


@pytest.mark.parametrize("label", ["2026", "2026-13", "2026-11-23", "soon"])
def test_a_label_that_is_no_month_is_told(label):
    with pytest.raises(ConfigError, match="expected a month"):
        Monthly().parse(label)


def test_every_instant_lies_in_its_month():
    cadence = Monthly()
    for day in range(0, 800, 7):
        instant = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)
        window = cadence.containing(instant)
        assert window.start <= instant < window.end
