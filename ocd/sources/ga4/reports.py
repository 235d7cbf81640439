"""The reports we fetch, declared as data. Dimension and metric names are the Data API's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GaReport:
    """One runReport: what it is called here, and what it asks for.

    A `date` dimension is checked against the day asked for; without one the day is the request's.
    """

    name: str
    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]


LANDING_PAGES = GaReport("landing_pages", ("date", "landingPage"), ("sessions",))
CHANNELS = GaReport("channels", ("sessionDefaultChannelGroup",), ("sessions", "totalUsers"))

REPORTS = (LANDING_PAGES, CHANNELS)
