"""Figures of a period, by metric and scope."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ocd.analytics.kpis.files import load
from ocd.analytics.kpis.measure import measure

#: The end of the period that the tests are about; a Tuesday.
END = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def figures(conn):
    """figures(start=, end=, zone=): measure what the open transaction holds."""
    specs = load()

    def deed(*, start=END - timedelta(days=1), end=END, zone="UTC"):
        conn.execute(text("select set_config('timezone', :zone, true)"), {"zone": zone})
        found = measure(conn, specs, start=start, end=end)
        return {(one.metric, one.scope): one for one in found}

    return deed
