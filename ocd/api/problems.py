"""Errors as problem details (RFC 9457), and the headers that every answer carries."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
#: Nothing here is for a browser to run, frame, guess the type of, or keep.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Problem(BaseModel):
    """What went wrong, in the members of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int


def problem(
    status: HTTPStatus, headers: dict[str, str] | None = None, **members: Any
) -> JSONResponse:
    """Return a problem; `members` are more facts, never an error's own text."""
    body = Problem(title=status.phrase, status=status.value).model_dump() | members
    return JSONResponse(
        body, status.value, headers=HEADERS | (headers or {}), media_type=MEDIA_TYPE
    )


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """Answer what the router refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return problem(HTTPStatus(error.status_code), headers)


async def on_fault(_: Request, __: Exception) -> JSONResponse:
    """Answer a fault of ours; the server's log has it, the answer has not."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR)


class SecureHeaders:
    """Puts `HEADERS` on every answer that does not have them yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
