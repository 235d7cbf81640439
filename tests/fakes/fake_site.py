"""A web site on loopback: a settable dict of path → answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FakeSite:
    """`answers` is path → (status, headers, body); `truncated` paths send half and hang up."""

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    journal: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The exact host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{self.host}"

    def put(self, path: str, body: bytes | str, status: int = 200, **headers: str) -> str:
        """Set an answer; returns its URL."""
        content = body.encode() if isinstance(body, str) else body
        self.answers[path] = (status, headers, content)
        return f"{self.url}{path}"

    def redirect(self, path: str, location: str, status: int = 302) -> str:
        """Set a redirect; returns its URL."""
        return self.put(path, b"", status, Location=location)


@contextmanager
def fake_site() -> Iterator[FakeSite]:
    """Serve until the block ends."""
    site = FakeSite()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.journal.append(self.path)
            status, headers, body = site.answers.get(self.path, (404, {}, b"not found\n"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            sent = body[: len(body) // 2] if self.path in site.truncated else body
            with suppress(BrokenPipeError, ConnectionResetError):  # the reader had enough
                self.wfile.write(sent)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield site
        server.shutdown()
        thread.join()
