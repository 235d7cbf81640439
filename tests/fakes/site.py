"""A web site on loopback that replays a series of days and misbehaves on demand.

By hand: `python -m tests.fakes.site FOLDER --port 8098` serves a folder's files, one a day, oldest first, as
/sitemap.xml; `curl -X POST :8098/_day/12` goes to another day.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click


@dataclass
class FakeSite:
    """`answers` is path → (status, headers, body); a path is looked up with its query, then without.

    `truncated` paths send half and hang up; `dripping` ones send a byte at a time; `has_etags` lets
    unchanged files be answered with 304. `series` are bodies of `/sitemap.xml`, one a day.
    """

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    dripping: set[str] = field(default_factory=set)
    has_etags: bool = False
    series: Sequence[bytes] = ()
    day: int = 0
    #: Paths as asked, robots.txt and invented ones left out: every visit asks for those.
    journal: list[str] = field(default_factory=list)
    everything: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    #: Connections that are open, and the most that ever were.
    connections: int = 0
    most_connections: int = 0
    connected: int = 0
    is_closing: threading.Event = field(default_factory=threading.Event)

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

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer."""
        plain = path.partition("?")[0]
        if plain == "/sitemap.xml" and self.series:
            found = (200, {}, self.series[self.day])
        else:
            found = self.answers.get(path) or self.answers.get(
                plain, (404, {}, b"<title>Not found</title>")
            )
        status, extra, body = found
        if not self.has_etags or status != 200:
            return found
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("If-None-Match") == etag:
            return 304, extra | {"ETag": etag}, b""
        return status, extra | {"ETag": etag}, body


_UNTOLD = re.compile(r"/robots\.txt|/no-such-page-.*")


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a visitor may keep its connection open
    block_on_close = False
    site: FakeSite


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        site = self.server.site
        site.connected += 1
        site.connections += 1
        site.most_connections = max(site.most_connections, site.connections)

    def handle(self) -> None:
        with suppress(OSError):  # the visitor hung up
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.site.connections -= 1

    def do_GET(self) -> None:
        site = self.server.site
        site.everything.append((self.path, dict(self.headers)))
        if not _UNTOLD.fullmatch(self.path):
            site.journal.append(self.path)
        status, headers, body = site.answer(self.path, dict(self.headers))
        self.send_response(status)
        for name, value in ({"Content-Type": "text/html"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the reader had enough
            self._send(body, site)

    def _send(self, body: bytes, site: FakeSite) -> None:
        if self.path in site.dripping:
            self.close_connection = True
            for byte in body:
                self.wfile.write(bytes((byte,)))
                if site.is_closing.wait(0.01):
                    return
        elif self.path in site.truncated:
            self.close_connection = True
            self.wfile.write(body[: len(body) // 2])
        else:
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.site.day = int(self.path.removeprefix("/_day/"))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def fake_site(port: int = 0) -> Iterator[FakeSite]:
    """Serve until the block ends."""
    site = FakeSite()
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.site = site
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield site
        site.is_closing.set()
        server.shutdown()
        thread.join()


def main() -> None:
    """Serve a folder's files, one a day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.iterdir() if ".xml" in path.name)
    with fake_site(options.port) as site:
        site.series = [path.read_bytes() for path in files]
        site.put("/robots.txt", f"User-agent: *\nSitemap: {site.url}/sitemap.xml\n")
        click.echo(
            f"{len(files)} days at {site.url}/sitemap.xml; POST {site.url}/_day/N for another"
        )
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
