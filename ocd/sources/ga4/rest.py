"""GA4 over HTTP: a thin runReport client on httpx, a tenth of the official client's weight."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ocd.core.errors import ConfigError, ContractBroken, SourceUnavailable
from ocd.sources.ga4.client import Answer, GaClient, Request
from ocd.sources.ga4.refusals import refusal

TIMEOUT_S = 60.0
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"


class RestClient(GaClient):
    """Asks the Data API; `token` gives an access token for each request and is never shown."""

    def __init__(
        self, api_url: str, token: Callable[[], str], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._api_url = safe_url("OCD_GA_API_URL", api_url)
        self._token = token
        self._http = httpx.Client(timeout=timeout_s)

    def run_report(self, property_id: str, request: Request) -> Answer:
        """Return the answer; one connection serves all requests."""
        token = self._token()
        try:
            with self._http.stream(
                "POST",
                f"{self._api_url}/v1beta/properties/{property_id}:runReport",
                json=_body(request),
                headers={"Authorization": f"Bearer {token}"},
            ) as answer:
                # Not `read()`: httpx's answer is a cycle, and would keep its body until that is collected.
                body = b"".join(answer.iter_bytes())
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"GA4 did not answer: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise refusal(answer.status_code, _said(body).replace(token, "***"))
        try:
            parsed: Answer = json.loads(body)
        except ValueError:
            raise ContractBroken("GA4 answered something that is no JSON") from None
        return parsed

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _body(request: Request) -> dict[str, Any]:
    day = request.day.isoformat()
    return {
        "dateRanges": [{"startDate": day, "endDate": day}],
        "dimensions": [{"name": name} for name in request.report.dimensions],
        "metrics": [{"name": name} for name in request.report.metrics],
        # An order makes pages comparable; without one rows may repeat or be left out.
        "orderBys": [{"dimension": {"dimensionName": name}} for name in request.report.dimensions],
        # int64 is text in the API's JSON.
        "limit": str(request.limit),
        "offset": str(request.offset),
        "returnPropertyQuota": True,
    }


def safe_url(setting: str, url: str) -> str:
    """Return the URL; a token travels in a header, so in clear text only to this machine."""
    parts = urlsplit(url)
    is_local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ConfigError(f"{setting}: expected https://…, because the access token goes there")
    return url.rstrip("/")


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def service_account_token(path: Path) -> Callable[[], str]:
    """Return a source of access tokens for a service account's key file; needs the google extra."""
    try:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request as TokenRequest
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
                credentials.refresh(TokenRequest())
        except TransportError:
            raise SourceUnavailable("Google's token server did not answer") from None
        except GoogleAuthError as error:
            kind = type(error).__name__
            raise ConfigError(f"Google refuses the service account: {kind}") from None
        return str(credentials.token)

    return token
