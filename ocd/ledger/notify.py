"""Tell people about a run that needs them: an HTTP POST with id, error class and last log lines."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
LOG_LINES = 10


def notify(webhook_url: str | None, run: dict[str, Any], lines: list[dict[str, Any]]) -> bool:
    """Post the run to the webhook; returns whether it was taken. Never raises: the ledger has it anyway."""
    if webhook_url is None:
        return False
    body = {
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
    try:
        answer = httpx.post(
            webhook_url,
            content=json.dumps(body, default=str),
            headers={"content-type": "application/json"},
            timeout=TIMEOUT_S,
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        # The URL is a secret; its error text may quote it.
        log.warning("webhook_failed", extra={"run": run["id"], "error": type(error).__name__})
        return False
    return True
