"""What every GA4 backend does: carry one runReport to Google and its answer back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from ocd.sources.ga4.reports import GaReport

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """Rows `offset` to `offset + limit` of one report of one day, ordered by its dimensions."""

    report: GaReport
    day: date
    offset: int
    limit: int


class GaClient(Protocol):
    """A backend. Raises SourceUnavailable, QuotaExhausted, ConfigError or ContractBroken."""

    def run_report(self, property_id: str, request: Request) -> Answer:
        """Return runReport's answer as the REST API's JSON has it: camelCase, values as text."""
        ...
