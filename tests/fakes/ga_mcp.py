"""A GA4 MCP server on top of the fake Data API, with the official server's tool and answers.

`python -m tests.fakes.ga_mcp --ga4 http://127.0.0.1:8100` speaks on stdio, with `--port 8101` over
streamable HTTP. `--errors-as-data`: as analytics-mcp up to 0.7, where a refusal looks like a result.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import httpx
import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent
from starlette.types import Receive, Scope, Send


def server_on(ga4_url: str, *, errors_as_data: bool) -> MCPServer[Any]:
    """Return a server whose `run_report` asks that Data API."""
    server: MCPServer[Any] = MCPServer("Google Analytics MCP Server")

    def run_report(
        property_id: int | str,
        date_ranges: list[dict[str, str]],
        dimensions: list[str],
        metrics: list[str],
        dimension_filter: dict[str, Any] | None = None,
        metric_filter: dict[str, Any] | None = None,
        order_bys: list[dict[str, Any]] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        currency_code: str | None = None,
        return_property_quota: bool = False,
    ) -> CallToolResult:
        """Runs a Google Analytics Data API report."""
        body = {
            "dateRanges": [_camel(one) for one in date_ranges],
            "dimensions": [{"name": name} for name in dimensions],
            "metrics": [{"name": name} for name in metrics],
            "orderBys": [_camel(one) for one in order_bys or []],
            "limit": str(limit or 10_000),
            "offset": str(offset or 0),
            "returnPropertyQuota": return_property_quota,
        }
        path = f"/v1beta/properties/{property_id}:runReport"
        answer = httpx.post(f"{ga4_url}{path}?$alt=json;enum-encoding=int", json=body, timeout=30)
        if answer.status_code == 200:
            return said(
                answer.text if not _is_json(answer.text) else json.dumps(_snake(answer.json()))
            )
        message = answer.json()["error"]["message"]
        failed = f"Failed to execute tool run_report: {answer.status_code} POST {ga4_url}{path}: {message}"
        return said(json.dumps({"error": failed}), is_error=not errors_as_data)

    server.add_tool(run_report, structured_output=False)
    return server


def said(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _snake(value: Any) -> Any:
    """As proto-plus writes it: snake_case, `type_`, the count as a number."""
    if isinstance(value, list):
        return [_snake(item) for item in value]
    if isinstance(value, dict):
        return {_snake_name(name): _snake(item) for name, item in value.items()}
    return value


def _snake_name(name: str) -> str:
    return "type_" if name == "type" else re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            re.sub(r"_([a-z])", lambda found: found[1].upper(), name): _camel(item)
            for name, item in value.items()
        }
    return value


@contextmanager
def running_ga_mcp(ga4_url: str, *options: str) -> Iterator[str]:
    """Start the process over HTTP and give its address; it ends with the block."""
    command = [*command_line(ga4_url), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def command_line(ga4_url: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.fakes.ga_mcp", "--ga4", ga4_url, *options]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.ga_mcp", description=__doc__)
    parser.add_argument("--ga4", required=True, help="address of the Data API, or of its fake")
    parser.add_argument("--port", type=int, help="speak over HTTP")
    parser.add_argument("--token", help="refuse who does not send it")
    parser.add_argument("--errors-as-data", action="store_true")
    options = parser.parse_args()
    server = server_on(options.ga4, errors_as_data=options.errors_as_data)
    if options.port is None:
        server.run("stdio")
        return
    app: Any = server.streamable_http_app()
    if options.token:
        app = behind_token(app, options.token)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", options.port))
        listener.listen()
        click.echo(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")
        config = uvicorn.Config(app, log_level="error")
        uvicorn.Server(config).run(sockets=[listener])


def behind_token(app: Any, token: str) -> Any:
    """Answer 401 to whoever does not send the token."""
    wanted = f"Bearer {token}".encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != wanted:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    return guarded


if __name__ == "__main__":
    main()
