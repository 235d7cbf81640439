"""GA4 answers replayed from files, one `<report>.json` per report, for demos and tests."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from ocd.core.errors import ConfigError
from ocd.sources.ga4.client import GaClient, ReportDay, parse
from ocd.sources.ga4.reports import GaReport


class RecordedClient(GaClient):
    """Gives the same recorded answer for every day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run_report(self, property_id: str, report: GaReport, day: date) -> ReportDay:
        """Return the recording; raises ConfigError where there is none."""
        path = self._folder / f"{report.name}.json"
        try:
            answer = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"OCD_GA_RECORDINGS: {path} is missing or no JSON") from error
        return parse(report, answer)
