"""GA4 answers replayed from files, one `<report>.json` per report, for demos and tests."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from ocd.core.errors import ConfigError
from ocd.sources.ga4.client import OTHER, GaClient, ReportDay, parse
from ocd.sources.ga4.reports import GaReport


class RecordedClient(GaClient):
    """Gives the same recorded answer for every property and day; only its `date` becomes the day asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run_report(self, property_id: str, report: GaReport, day: date) -> ReportDay:
        """Return the recording; raises ConfigError where there is none."""
        path = self._folder / f"{report.name}.json"
        try:
            answer = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"OCD_GA_RECORDINGS: {path} is missing or no JSON; record runReport's answer there"
            ) from error
        return parse(report, day, _dated(answer, f"{day:%Y%m%d}"))


def _dated(answer: Any, day: str) -> Any:
    """Return the recording as if it were of `day`; a strange shape passes on, `parse` names its fault."""
    try:
        names = [header["name"] for header in answer["dimensionHeaders"]]
        cells = [row["dimensionValues"][names.index("date")] for row in answer["rows"]]
    except (KeyError, ValueError, TypeError, IndexError):
        return answer
    for cell in cells:
        if cell.get("value") != OTHER:
            cell["value"] = day
    return answer
