"""GA4 over HTTP: a thin runReport client on httpx, a tenth of the official client's weight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ocd.core.errors import ConfigError, ContractBroken, OcdError, QuotaExhausted, SourceUnavailable
from ocd.sources.ga4.client import GaClient, ReportDay, merge, parse
from ocd.sources.ga4.reports import GaReport

#: Rows per page, the API's default; its limit is 250,000 (Data API reference, 2026).
PAGE_ROWS = 10_000
#: A day with more pages than this is no day of a shop; it bounds memory and quota.
MAX_PAGES = 100
TIMEOUT_S = 60.0
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"

#: Which quota is exhausted stands only in the message; seconds until it opens again. The first match
#: counts, and most messages say "hour" as well, so the narrow words come first.
_QUOTAS = (
    ("per day", None),
    ("24 hours", None),
    ("concurrent requests", 30.0),
    ("server errors", 3600.0),
    ("thresholded", 1800.0),
    ("hour", 1800.0),
)
_UNKNOWN_QUOTA_S = 1800.0


class RestClient(GaClient):
    """Asks the Data API; `token` gives an access token for each request and is never shown."""

    def __init__(
        self,
        api_url: str,
        token: Callable[[], str],
        *,
        page_rows: int = PAGE_ROWS,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._api_url = _safe_base(api_url)
        self._token = token
        self._page_rows = page_rows
        self._timeout_s = timeout_s

    def run_report(self, property_id: str, report: GaReport, day: date) -> ReportDay:
        """Return the report of that day; fetches it once more when rows shifted between its pages."""
        with httpx.Client(timeout=self._timeout_s) as http:
            for _ in range(2):
                pages = self._pages(http, property_id, report, day)
                found = merge(pages)
                if _is_consistent(pages, found):
                    return found
        raise ContractBroken(
            f"GA4 {report.name} {day}: rows shift between pages; Google is restating the day, run it again later"
        )

    def _pages(
        self, http: httpx.Client, property_id: str, report: GaReport, day: date
    ) -> list[ReportDay]:
        pages: list[ReportDay] = []
        offset = 0
        while not pages or offset < pages[0].row_count:
            if len(pages) == MAX_PAGES:
                raise ContractBroken(f"GA4 {report.name} {day}: more than {MAX_PAGES} pages")
            answer = self._ask(http, property_id, self._body(report, day, offset))
            pages.append(parse(report, day, answer))
            if not pages[-1].rows:
                break
            offset += len(pages[-1].rows)
        return pages

    def _body(self, report: GaReport, day: date, offset: int) -> dict[str, Any]:
        return {
            "dateRanges": [{"startDate": day.isoformat(), "endDate": day.isoformat()}],
            "dimensions": [{"name": name} for name in report.dimensions],
            "metrics": [{"name": name} for name in report.metrics],
            # An order makes pages comparable; without one rows may repeat or be left out.
            "orderBys": [{"dimension": {"dimensionName": name}} for name in report.dimensions],
            # int64 is text in the API's JSON.
            "limit": str(self._page_rows),
            "offset": str(offset),
        }

    def _ask(self, http: httpx.Client, property_id: str, body: dict[str, Any]) -> object:
        token = self._token()
        try:
            answer = http.post(
                f"{self._api_url}/v1beta/properties/{property_id}:runReport",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"GA4 did not answer: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise _refusal(answer.status_code, _said(answer).replace(token, "***"))
        try:
            parsed: object = answer.json()
        except ValueError:
            raise ContractBroken("GA4 answered something that is no JSON") from None
        return parsed


def _safe_base(api_url: str) -> str:
    """Return the base URL; the token travels in a header, so in clear text only to this machine."""
    parts = urlsplit(api_url)
    is_local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ConfigError("OCD_GA_API_URL: expected https://…, because the access token goes there")
    return api_url.rstrip("/")


def _is_consistent(pages: list[ReportDay], found: ReportDay) -> bool:
    """Whether no row was restated away, in, or twice while the pages were read."""
    keys = {tuple(dimensions.values()) for dimensions, _ in found.rows}
    return len(keys) == found.row_count == len(found.rows) == pages[-1].row_count


def _said(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return ""


def _refusal(status: int, said: str) -> OcdError:
    """Return the error of a status; Google's words are kept where they tell which quota or field."""
    if status == 429:
        return QuotaExhausted(
            f"GA4 quota: {said or 'exhausted'}", retry_after_s=_retry_after_s(said)
        )
    if status == 401:
        return ConfigError(
            "GA4 refuses the credential (401): renew OCD_GA_ACCESS_TOKEN or check OCD_GA_CREDENTIALS_FILE"
        )
    if status == 403:
        return ConfigError(
            "GA4 denies access (403): enable the Data API in the Google project and give the service account "
            "the Viewer role on the property of OCD_GA_PROPERTY"
        )
    if status >= 500 or status == 408:
        return SourceUnavailable(f"GA4 answered {status}")
    return ContractBroken(f"GA4 answered {status}: {said or 'no reason given'}")


def _retry_after_s(said: str) -> float | None:
    lowered = said.lower()
    return next((seconds for words, seconds in _QUOTAS if words in lowered), _UNKNOWN_QUOTA_S)


def service_account_token(path: Path) -> Callable[[], str]:
    """Return a source of access tokens for a service account's key file; needs the google extra."""
    try:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request
        from google.oauth2.service_account import Credentials
    except ImportError as error:
        raise ConfigError(
            "OCD_GA_CREDENTIALS_FILE needs the google extra: pip install 'ocd[google]'"
        ) from error
    try:
        credentials = Credentials.from_service_account_file(str(path), scopes=[SCOPE])
    except (OSError, ValueError, GoogleAuthError) as error:
        kind = type(error).__name__
        raise ConfigError(
            f"OCD_GA_CREDENTIALS_FILE: not a service account's key ({kind})"
        ) from None

    def token() -> str:
        try:
            if not credentials.valid:
                credentials.refresh(Request())
        except TransportError:
            raise SourceUnavailable("Google's token server did not answer") from None
        except GoogleAuthError as error:
            kind = type(error).__name__
            raise ConfigError(f"Google refuses the service account: {kind}") from None
        return str(credentials.token)

    return token
