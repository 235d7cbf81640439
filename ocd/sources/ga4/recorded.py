"""GA4 answers replayed from files, one `<report>.json` per report, for demos and tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ocd.core.errors import ConfigError
from ocd.sources.ga4.answers import OTHER
from ocd.sources.ga4.client import Answer, GaClient, Request


class RecordedClient(GaClient):
    """Gives the same recorded answer for every property and day; only its `date` becomes the day asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run_report(self, property_id: str, request: Request) -> Answer:
        """Return the recording, or the part of it that is asked for; raises ConfigError where there is none."""
        path = self._folder / f"{request.report.name}.json"
        try:
            answer = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"OCD_GA_RECORDINGS: {path} is missing or no JSON; record runReport's answer there"
            ) from error
        found: Answer = _part(_dated(answer, f"{request.day:%Y%m%d}"), request)
        return found


def _part(answer: Any, request: Request) -> Any:
    """Return the rows asked for; a strange shape passes on, its reader names the fault."""
    if not isinstance(answer, dict) or not isinstance(answer.get("rows"), list):
        return answer
    return answer | {"rows": answer["rows"][request.offset : request.offset + request.limit]}


def _dated(answer: Any, day: str) -> Any:
    """Return the recording as if it were of `day`; a strange shape passes on as well."""
    try:
        names = [header["name"] for header in answer["dimensionHeaders"]]
        cells = [row["dimensionValues"][names.index("date")] for row in answer["rows"]]
    except (KeyError, ValueError, TypeError, IndexError):
        return answer
    for cell in cells:
        if cell.get("value") != OTHER:
            cell["value"] = day
    return answer
