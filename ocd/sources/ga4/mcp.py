"""GA4 through an MCP server: Google's own analytics-mcp, or any that has its `run_report`.

One session per process serves all requests: a server takes seconds to start and a hundred megabytes
to live. Needs the mcp extra. The official SDK is asynchronous; a thread of its own runs it.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import shlex
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ocd.core.errors import ConfigError, ContractBroken, OcdError, SourceUnavailable
from ocd.core.settings import Settings
from ocd.sources.ga4.client import Answer, GaClient, Request
from ocd.sources.ga4.refusals import refusal_in_words
from ocd.sources.ga4.rest import safe_url

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from mcp import Client

log = logging.getLogger(__name__)

TOOL = "run_report"
CALL_S = 60.0
#: Google's server loads for seconds before it answers for the first time.
CONNECT_S = 60.0


class Transport(Protocol):
    """A way to a server; `is_refused` when it wanted another token."""

    is_refused: bool

    def connected(self) -> AbstractAsyncContextManager[Any]:
        """Give the streams to a server, for as long as the block lasts."""
        ...


class McpClient(GaClient):
    """Calls the server's `run_report`; its answer is the Data API's in snake_case, as text."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run_report(self, property_id: str, request: Request) -> Answer:
        """Return the answer as REST gives it. A refusal counts as one even where the server calls it a result."""
        text, is_error = self._session.call(TOOL, _arguments(property_id, request))
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict) and "error" in found:
            raise refusal_in_words(str(found["error"]))
        if is_error:
            raise refusal_in_words(text)
        if not isinstance(found, dict):
            raise ContractBroken(
                f"GA4 MCP server: {TOOL} answered something that is no JSON object"
            )
        return {_camel_name(name): _camel(item) for name, item in found.items()}


def _arguments(property_id: str, request: Request) -> dict[str, Any]:
    day = request.day.isoformat()
    return {
        "property_id": property_id,
        "date_ranges": [{"start_date": day, "end_date": day}],
        "dimensions": list(request.report.dimensions),
        "metrics": list(request.report.metrics),
        "order_bys": [
            {"dimension": {"dimension_name": name}, "desc": False}
            for name in request.report.dimensions
        ],
        "limit": request.limit,
        "offset": request.offset,
        "return_property_quota": True,
    }


def _camel(value: Any) -> Any:
    """Return the value with every key in camelCase; `type_` is `type`."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, Mapping):
        return {_camel_name(name): _camel(item) for name, item in value.items()}
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


class Session:
    """A connection that lives as long as the process; opened at the first call, and anew after it broke."""

    def __init__(self, transport: Transport, secret: str | None = None) -> None:
        self._transport = transport
        self._secret = secret
        self._lock = threading.Lock()
        self._open: ExitStack | None = None
        self._portal: BlockingPortal
        self._client: Client

    def call(self, tool: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        """Return the tool's text and whether the server says it is an error; raises SourceUnavailable."""
        import anyio
        from mcp import MCPError

        with self._lock:
            try:
                self._connect()
                result = self._portal.call(self._client.call_tool, tool, dict(arguments), CALL_S)
            except (
                MCPError,
                OSError,
                RuntimeError,
                ExceptionGroup,
                anyio.ClosedResourceError,
            ) as error:
                self._close()
                raise self._trouble(error) from None
        texts = [getattr(part, "text", "") for part in result.content]
        text = "\n".join(texts)
        return (text.replace(self._secret, "***") if self._secret else text), result.is_error

    def close(self) -> None:
        """End the session; the next call opens another."""
        with self._lock:
            self._close()

    def _trouble(self, error: Exception) -> OcdError:
        """Return what a broken call means: the first cause tells, wherever the SDK's tasks wrapped it."""
        cause = error
        while isinstance(cause, ExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, FileNotFoundError | PermissionError):
            return ConfigError("OCD_GA_MCP_COMMAND: its program is not there, or may not be run")
        if self._transport.is_refused:
            return ConfigError("OCD_GA_MCP_URL refuses the token: renew OCD_GA_MCP_TOKEN")
        return SourceUnavailable(f"GA4 MCP server did not answer: {type(cause).__name__}")

    def _connect(self) -> None:
        if self._open is not None:
            return
        from anyio.from_thread import start_blocking_portal
        from mcp import Client

        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            client = Client(self._transport.connected(), read_timeout_seconds=CONNECT_S)
            self._client = stack.enter_context(self._portal.wrap_async_context_manager(client))
            self._open = stack.pop_all()
        log.info("ga_mcp_connected")

    def _close(self) -> None:
        stack, self._open = self._open, None
        if stack is not None:
            try:
                stack.close()
            except (OSError, RuntimeError, ExceptionGroup) as error:
                log.warning("ga_mcp_not_closed", extra={"error": type(error).__name__})


#: This process's sessions by server and token; a forked child makes its own.
_sessions: dict[tuple[int, str, str | None], Session] = {}


def open_mcp(settings: Settings) -> McpClient:
    """Return a client on this process's session; raises ConfigError naming what is missing."""
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "OCD_GA_BACKEND=mcp needs the mcp extra: pip install 'ocd[mcp]'"
        ) from error
    if bool(settings.ga_mcp_url) == bool(settings.ga_mcp_command):
        raise ConfigError(
            "OCD_GA_BACKEND=mcp needs OCD_GA_MCP_URL or OCD_GA_MCP_COMMAND, one of them"
        )
    transport = _Http(settings) if settings.ga_mcp_url else _Stdio(settings)
    server = str(settings.ga_mcp_url or settings.ga_mcp_command)
    key = os.getpid(), server, settings.ga_mcp_token
    if key not in _sessions:
        _sessions[key] = Session(transport, settings.ga_mcp_token)
    return McpClient(_sessions[key])


def close_sessions() -> None:
    """End this process's sessions, and the servers that they started."""
    for key in [key for key in _sessions if key[0] == os.getpid()]:
        _sessions.pop(key).close()


atexit.register(close_sessions)


class _Http:
    """Streamable HTTP, with a bearer token where there is one."""

    def __init__(self, settings: Settings) -> None:
        self._url = safe_url("OCD_GA_MCP_URL", settings.ga_mcp_url or "")
        token = settings.ga_mcp_token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.is_refused = False

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def look(response: httpx2.Response) -> None:
            # The SDK keeps a refusal to itself.
            self.is_refused = response.status_code in {401, 403}

        async with (
            httpx2.AsyncClient(
                headers=self._headers, timeout=CALL_S, event_hooks={"response": [look]}
            ) as http,
            streamable_http_client(self._url, http_client=http) as streams,
        ):
            yield streams


class _Stdio:
    """A process of our own, from the list of allowed programs."""

    is_refused = False

    def __init__(self, settings: Settings) -> None:
        words = shlex.split(settings.ga_mcp_command or "")
        if not words or words[0] not in settings.ga_mcp_allow_commands:
            allowed = ", ".join(settings.ga_mcp_allow_commands)
            raise ConfigError(
                f"OCD_GA_MCP_COMMAND: may start only {allowed}; add its program to OCD_GA_MCP_ALLOW_COMMANDS"
            )
        self._words = words
        # It gets the few harmless variables that the SDK passes on, and where its credential lies.
        key = settings.ga_credentials_file
        self._env = {"GOOGLE_APPLICATION_CREDENTIALS": str(key)} if key else {}

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        program, *arguments = self._words
        started = StdioServerParameters(command=program, args=arguments, env=self._env)
        # What it says on the side is nobody's to check for secrets, so no log of ours takes it.
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - no path
            async with stdio_client(started, errlog=nowhere) as streams:
                yield streams
