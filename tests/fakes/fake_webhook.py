"""A webhook's receiver on loopback: keeps what was posted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeWebhook:
    """Where it listens, what it answers, what it got."""

    url: str
    status: int = 204
    posts: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def fake_webhook() -> Iterator[FakeWebhook]:
    """Run one until the body ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            fake.posts.append(json.loads(body))
            self.send_response(fake.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake = FakeWebhook(f"http://127.0.0.1:{server.server_address[1]}/hook/s3cret")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield fake
        server.shutdown()
