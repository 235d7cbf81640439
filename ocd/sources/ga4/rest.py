"""GA4 over HTTP: a thin runReport client on httpx, a tenth of the official client's weight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from ocd.core.errors import ConfigError, ContractBroken, QuotaExhausted, SourceUnavailable
from ocd.sources.ga4.client import GaClient, ReportDay, merge, parse
from ocd.sources.ga4.reports import GaReport

#: Rows per page; the API's own limit is 250,000 (Data API reference, 2026).
PAGE_ROWS = 10_000
TIMEOUT_S = 60.0
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"

#: Which quota is exhausted stands only in the message; seconds until it opens again.
_QUOTAS = (
    ("per day", None),
    ("24 hours", None),
    ("concurrent requests", 30.0),
    ("server errors", 3600.0),
    ("thresholded", 1800.0),
    ("hour", 1800.0),
)


class RestClient(GaClient):
    """Asks the Data API; `token` gives an access token for each request and is never logged."""

    def __init__(
        self, api_url: str, token: Callable[[], str], *, page_rows: int = PAGE_ROWS
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._page_rows = page_rows
        self._http = httpx.Client(timeout=TIMEOUT_S)

    def run_report(self, property_id: str, report: GaReport, day: date) -> ReportDay:
        """Return the report of that day; refetches once when rows shifted between its pages."""
        for _ in range(2):
            pages = self._pages(property_id, report, day)
            found = merge(pages)
            if len(found.rows) == found.row_count and all(
                page.row_count == found.row_count for page in pages
            ):
                return found
        raise ContractBroken(
            f"GA4 {report.name} {day}: rows shift between pages; Google is restating the day, run it again later"
        )

    def _pages(self, property_id: str, report: GaReport, day: date) -> list[ReportDay]:
        pages: list[ReportDay] = []
        offset = 0
        while not pages or offset < pages[0].row_count:
            page = parse(report, self._ask(property_id, self._body(report, day, offset)))
            pages.append(page)
            if not page.rows:
                break
            offset += len(page.rows)
        return pages

    def _body(self, report: GaReport, day: date, offset: int) -> dict[str, Any]:
        return {
            "dateRanges": [{"startDate": day.isoformat(), "endDate": day.isoformat()}],
            "dimensions": [{"name": name} for name in report.dimensions],
            "metrics": [{"name": name} for name in report.metrics],
            # An order makes pages comparable; without one rows may repeat or be left out.
            "orderBys": [{"dimension": {"dimensionName": name}} for name in report.dimensions],
            "limit": str(self._page_rows),
            "offset": str(offset),
        }

    def _ask(self, property_id: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._http.post(
                f"{self._api_url}/v1beta/properties/{property_id}:runReport",
                json=body,
                headers={"Authorization": f"Bearer {self._token()}"},
            )
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"GA4 did not answer: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise _refusal(answer)
        try:
            parsed: dict[str, Any] = answer.json()
        except ValueError:
            raise ContractBroken("GA4 answered something that is no JSON") from None
        return parsed


def _refusal(answer: httpx.Response) -> Exception:
    try:
        said = str(answer.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        said = ""
    status = answer.status_code
    if status == 429:
        return QuotaExhausted(f"GA4 quota: {said or 'exhausted'}", retry_after_s=_retry_after(said))
    if status == 401:
        return ConfigError(
            "GA4 refuses the credential (401): renew OCD_GA_ACCESS_TOKEN or check OCD_GA_CREDENTIALS_FILE"
        )
    if status == 403:
        return ConfigError(
            "GA4 denies access (403): give the service account the Viewer role on the property of OCD_GA_PROPERTY"
        )
    if status >= 500:
        return SourceUnavailable(f"GA4 answered {status}")
    return ContractBroken(f"GA4 answered {status}: {said}")


def _retry_after(said: str) -> float | None:
    lowered = said.lower()
    return next((seconds for words, seconds in _QUOTAS if words in lowered), 1800.0)


def service_account_token(path: Path) -> Callable[[], str]:
    """Return a source of access tokens for a service account's key file; needs the google extra."""
    try:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2.service_account import Credentials
    except ImportError as error:
        raise ConfigError(
            "OCD_GA_CREDENTIALS_FILE needs the google extra: pip install 'ocd[google]'"
        ) from error
    try:
        credentials = Credentials.from_service_account_file(str(path), scopes=[SCOPE])
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"OCD_GA_CREDENTIALS_FILE: not a service account key ({type(error).__name__})"
        ) from error

    def token() -> str:
        if not credentials.valid:
            try:
                credentials.refresh(Request())
            except GoogleAuthError as error:
                raise ConfigError(
                    f"Google refuses the service account: {type(error).__name__}"
                ) from error
        return str(credentials.token)

    return token
