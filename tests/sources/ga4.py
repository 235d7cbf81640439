"""What the tests of GA4 share: rows, a day, and whole days read from a backend."""

from __future__ import annotations

import shlex
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ocd.core.settings import Settings
from ocd.sources.ga4.answers import Page
from ocd.sources.ga4.client import GaClient
from ocd.sources.ga4.pages import read_day
from ocd.sources.ga4.reports import REPORTS, GaReport
from tests.factories.clock import NOW as FACTORIES_NOW
from tests.fakes.ga4 import Ga4
from tests.fakes.ga_mcp import command_line

DAY = date(2026, 11, 23)
#: The morning after, when the day is over in the fake property's time zone too.
NOW = FACTORIES_NOW + timedelta(hours=10)
TOKEN = "ya29.very-secret"
PROPERTY = "123456"
LIVE = ("rest", "mcp")
BACKENDS = (*LIVE, "recorded")


def pages(count: int, name: str = "/page-{}") -> list[Any]:
    """Rows of landing pages, in order as long as there are fewer than ten."""
    return [[["20261123", name.format(n)], [str(n + 1)]] for n in range(count)]


def channels(count: int) -> list[Any]:
    return [[[f"Channel {n}"], [str(n + 1), str(n)]] for n in range(count)]


def read(client: GaClient, report: GaReport, *, page_rows: int = 2, day: date = DAY) -> list[Page]:
    """Return the pages of a day that count at the end."""
    found: list[Page] = []
    found.extend(read_day(client, PROPERTY, report, day, restart=found.clear, page_rows=page_rows))
    return found


def rows_of(found: list[Page]) -> list[tuple[str, ...]]:
    return [tuple(row) for page in found for row in page.rows]


def settings_for(ga4: Ga4, backend: str, folder: Path, **changed: Any) -> Settings:
    """Settings of a backend whose data is the fake's; MCP on stdio."""
    if backend == "recorded":
        record(ga4, folder)
    found = Settings(
        ga_backend=backend,
        ga_property=PROPERTY,
        ga_api_url=ga4.url,
        ga_access_token=TOKEN,
        ga_recordings=folder,
        ga_mcp_command=shlex.join(command_line(ga4.url)),
        ga_mcp_allow_commands=(sys.executable,),
    )
    return found.replace(**changed)


def record(ga4: Ga4, folder: Path) -> None:
    """Write down what the API says now, whole."""
    for report in REPORTS:
        asked = {
            "dateRanges": [{"startDate": DAY.isoformat(), "endDate": DAY.isoformat()}],
            "dimensions": [{"name": name} for name in report.dimensions],
            "metrics": [{"name": name} for name in report.metrics],
            "limit": 100_000,
        }
        answer = ga4.ask_raw(PROPERTY, asked)
        (folder / f"{report.name}.json").write_text(answer, encoding="utf-8")
