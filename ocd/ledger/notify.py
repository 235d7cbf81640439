"""Tell people what needs them: an HTTP POST, and whatever channels Apprise knows."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from ocd.core.errors import ConfigError, OcdError

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
LOG_LINES = 10
#: They log the addresses that they call, and an address is a secret.
_TALKATIVE = ("apprise", "httpx", "httpcore", "urllib3")


@dataclass(frozen=True)
class Channels:
    """Where news goes: a webhook that gets JSON, and Apprise URLs (extra `notify`) that get words."""

    webhook_url: str | None = None
    apprise_urls: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.webhook_url or self.apprise_urls)


def described(channels: Channels) -> str:
    """Return in words where news goes; raises ConfigError where a channel can never work."""
    words = ["a webhook"] if channels.webhook_url else []
    for number, url in enumerate(channels.apprise_urls, 1):
        if _apprise_module().Apprise.instantiate(url) is None:
            raise ConfigError(f"OCD_NOTIFY_URLS: URL {number} is none that Apprise understands")
    if channels.apprise_urls:
        words.append(f"{len(channels.apprise_urls)} channel(s) of Apprise")
    return " and ".join(words) or "nobody is told; `ocd incidents` has them"


def notify(
    channels: Channels,
    incident: dict[str, Any],
    run: dict[str, Any] | None,
    lines: list[dict[str, Any]],
) -> bool:
    """Tell every channel of an incident; returns whether all took it. Never raises: the ledger has it anyway."""
    body = message(incident, run, lines)
    results = []
    if channels.webhook_url is not None:
        results.append(_attempt("webhook", lambda: _post(str(channels.webhook_url), body)))
    if channels.apprise_urls:
        results.append(_attempt("apprise", lambda: _apprise(channels.apprise_urls, body)))
    return all(results)


def message(
    incident: dict[str, Any], run: dict[str, Any] | None, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what is told: the incident with its page, the run's id, error class and last log lines."""
    body = {
        "event": incident["event"],
        "incident": incident["id"],
        "cause": incident["cause"],
        "severity": incident["severity"],
        "summary": incident["summary"],
        "how_to": incident["how_to"],
        "opened_at": incident["opened_at"],
        "closed_at": incident["closed_at"],
        "times": incident["times"],
        "run": None,
    }
    if run is None:
        return body | {"look": "ocd status"}
    return body | {
        "run": run["id"],
        "job": run["job"],
        "window": run["window"],
        "subject": run["subject"],
        "state": run["state"],
        "error_class": run["error_class"],
        "error": run["error_message"],
        "attempts": run["attempt"],
        "log": [
            f"{line['at']:%H:%M:%S} {line['level']} {line['event']}" for line in lines[-LOG_LINES:]
        ],
        "look": f"ocd show {run['id']}",
    }


def _attempt(channel: str, tell: Callable[[], None]) -> bool:
    _hush()
    try:
        tell()
    except (httpx.HTTPError, httpx.InvalidURL, OSError, OcdError) as error:
        # The URL is a secret; its error text may quote it.
        log.warning(
            "notification_failed", extra={"channel": channel, "error": type(error).__name__}
        )
        return False
    return True


def _post(url: str, body: dict[str, Any]) -> None:
    httpx.post(
        url,
        content=json.dumps(body, default=str),
        headers={"content-type": "application/json"},
        timeout=TIMEOUT_S,
    ).raise_for_status()


def _apprise(urls: tuple[str, ...], body: dict[str, Any]) -> None:
    apprise = _apprise_module()
    told = apprise.Apprise(list(urls))
    kind = apprise.NotifyType.SUCCESS if body["event"] == "closed" else apprise.NotifyType.FAILURE
    text = f"{body['summary']}\n{body['how_to']}\n{body['look']}"
    if not told.notify(body=text, title=f"ocd: {body['event']}: {body['cause']}", notify_type=kind):
        raise OSError("a channel did not take it")


def _apprise_module() -> Any:
    try:
        found = importlib.import_module("apprise")
    except ImportError as error:
        raise ConfigError("OCD_NOTIFY_URLS needs Apprise: pip install 'ocd[notify]'") from error
    _hush()
    return found


def _hush() -> None:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
