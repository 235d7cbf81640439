"""A GA4 Data API on loopback: plays runReport with paging, refuses and misbehaves on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeGa4:
    """Rows per first dimension, and how to misbehave; `journal` holds (path, headers, body)."""

    url: str = ""
    #: {first dimension: [((dimension values), (metric values)), ...]}
    rows: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = field(default_factory=dict)
    #: (status, message): every request is refused.
    refusal: tuple[int, str] | None = None
    #: Refuse only reports whose first dimension is this one.
    refuse_only: str | None = None
    #: Sent as it is, with status 200.
    raw: bytes | None = None
    renamed_metric: str | None = None
    #: Requests with an offset that still see a row count of one more; -1 for always.
    shifts: int = 0
    #: The second page repeats the last row of the first; the count stays.
    repeats_row: bool = False
    #: {offset: metadata} of pages that carry flags.
    metadata_at: dict[int, dict[str, Any]] = field(default_factory=dict)
    journal: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return runReport's answer."""
        dimensions = [item["name"] for item in asked["dimensions"]]
        metrics = [item["name"] for item in asked["metrics"]]
        offset, limit = int(asked.get("offset", 0)), int(asked["limit"])
        rows = self.rows.get(dimensions[0], [])
        metadata = {"currencyCode": "USD", "timeZone": "America/Chicago"}
        answer: dict[str, Any] = {
            "kind": "analyticsData#runReport",
            "metadata": metadata | self.metadata_at.get(offset, {}),
        }
        if not rows:
            return answer
        count = len(rows)
        if offset and self.shifts:
            self.shifts -= 1
            count += 1
        start = offset - 1 if offset and self.repeats_row else offset
        return answer | {
            "dimensionHeaders": [{"name": name} for name in dimensions],
            "metricHeaders": [
                {"name": self.renamed_metric or name, "type": "TYPE_INTEGER"} for name in metrics
            ],
            "rows": [
                {
                    "dimensionValues": [{"value": value} for value in values],
                    "metricValues": [{"value": value} for value in numbers],
                }
                for values, numbers in rows[start : start + limit]
            ],
            "rowCount": count,
        }

    def respond(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and body."""
        refused = self.refuse_only in {None, asked["dimensions"][0]["name"]}
        if self.refusal is not None and refused:
            status, message = self.refusal
            error = {"error": {"code": status, "message": message, "status": "REFUSED"}}
            return status, json.dumps(error).encode()
        if self.raw is not None:
            return 200, self.raw
        return 200, json.dumps(self.answer(asked)).encode()


@contextmanager
def fake_ga4() -> Iterator[FakeGa4]:
    """Serve until the block ends."""
    fake = FakeGa4()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.journal.append((self.path, dict(self.headers), asked))
            status, body = fake.respond(asked)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()
