"""A GA4 Data API as a process of its own: `python -m tests.fakes.ga4 --port 8100`.

Plays runReport, batchRunReports and metadata with a quota ledger, every 429 that Google has words
for, bursts of 5xx, slow answers, paging, numbers that are restated as its clock moves, and types as
words or as numbers. Everything can be set while it runs (`POST /_set`), its clock moved
(`POST /_clock`), and what it was asked read back (`GET /_journal`).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click
import httpx

MORE = (
    "To learn more, see https://developers.google.com/analytics/devguides/reporting/data/v1/quotas"
)
#: Google's words for each quota; nothing else in a 429 tells which one it is.
SAID = {
    "concurrentRequests": f"Exhausted concurrent requests quota. Please wait for other requests to complete before sending additional requests. {MORE}",
    "tokensPerProjectPerHour": f"Exhausted property tokens for a project per hour. These quota tokens will return in under an hour. {MORE}",
    "tokensPerHour": f"Exhausted property tokens per hour. These quota tokens will return in under an hour. {MORE}",
    "tokensPerDay": f"Exhausted property tokens per day. These quota tokens will return in under 24 hours. {MORE}",
    "potentiallyThresholdedRequestsPerHour": f"Exhausted potentially thresholded requests quota. This quota will refresh in under an hour. {MORE}",
    "serverErrorsPerProjectPerHour": f"Exhausted server errors quota. This quota will refresh in under an hour. {MORE}",
}
LIMITS = {
    "tokensPerDay": 200_000,
    "tokensPerHour": 40_000,
    "tokensPerProjectPerHour": 14_000,
    "potentiallyThresholdedRequestsPerHour": 120,
    "serverErrorsPerProjectPerHour": 10,
    "concurrentRequests": 10,
}
TYPES = {"TYPE_INTEGER": 1, "TYPE_FLOAT": 2, "TYPE_CURRENCY": 9}
Rows = list[list[list[str]]]


@dataclass
class State:
    """How it behaves; every field may be set over HTTP."""

    #: {first dimension: [[dimension values, metric values], …]}; a dimension that is not there makes rows up.
    rows: dict[str, Rows] = field(default_factory=dict)
    #: Rows that are made up per report and day, where `rows` has none.
    made_up: int = 0
    seed: int = 1
    #: Its clock; a day's numbers grow until it is three days old.
    today: str = "2026-11-24"
    time_zone: str = "America/Chicago"
    currency: str = "USD"
    #: Tokens that a request costs, and that others take beside each of ours.
    cost: int = 10
    others: int = 0
    remaining: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    says_quota: bool = True
    #: [status, message]: every request is refused; `refuse_only`: reports whose first dimension this is;
    #: `refuse_times`: so many requests, then no more.
    refusal: list[Any] | None = None
    refuse_only: str | None = None
    refuse_times: int = -1
    #: Sent as it is, with status 200.
    raw: str | None = None
    renamed_metric: str | None = None
    #: Later pages that see a row count of one more; -1 for always.
    shifts: int = 0
    #: Before the next later page a row before it comes and one behind it goes; -1 for always.
    moves: int = 0
    #: Before the next later page a row before it goes and one behind it comes; -1 for always.
    drops: int = 0
    #: {offset: metadata} of pages that carry flags; the page that holds this row.
    metadata_at: dict[str, dict[str, Any]] = field(default_factory=dict)
    delay_s: float = 0.0
    #: 429 when the quota that Google counts is used up.
    enforces: bool = True


class Fake:
    """State, quota ledger and journal behind a lock."""

    def __init__(self) -> None:
        self.state = State()
        self.journal: list[dict[str, Any]] = []
        self.under_way = 0
        self.lock = threading.Lock()

    def set(self, changes: dict[str, Any]) -> None:
        known = {one.name for one in fields(State)}
        assert changes.keys() <= known, f"unknown: {changes.keys() - known}"
        for name, value in changes.items():
            setattr(self.state, name, value)

    def forget(self, _: Any = None) -> None:
        self.journal.clear()
        self.state = State()

    def move_clock(self, asked: dict[str, int]) -> None:
        """Move the clock on: hourly quotas are whole again, after 24 hours the daily one too."""
        hours = asked["hours"]
        today = date.fromisoformat(self.state.today) + timedelta(days=hours // 24)
        self.state.today = today.isoformat()
        for name, limit in LIMITS.items():
            if name != "tokensPerDay" or hours >= 24:
                self.state.remaining[name] = limit

    def respond(self, path: str, headers: dict[str, str], asked: dict[str, Any]) -> tuple[int, Any]:
        """Return status and answer of a POST."""
        url = urlsplit(path)
        is_numbered = any("enum-encoding=int" in value for _, value in parse_qsl(url.query))
        with self.lock:
            self.journal.append(
                {
                    "path": url.path,
                    "authorization": headers.get("Authorization"),
                    "body": asked,
                    "remaining": dict(self.state.remaining),
                    "under_way": self.under_way,
                }
            )
            self.under_way += 1
        try:
            if self.state.delay_s:
                time.sleep(self.state.delay_s)
            with self.lock:
                return self._respond(url.path, asked, is_numbered)
        finally:
            with self.lock:
                self.under_way -= 1

    def _respond(self, path: str, asked: dict[str, Any], is_numbered: bool) -> tuple[int, Any]:
        requests = asked["requests"] if path.endswith(":batchRunReports") else [asked]
        if len(requests) > 5:
            return refused(400, "The maximum number of requests in a batch is 5.")
        status = self._refused(requests[0])
        if status is not None:
            return status
        if self.state.raw is not None:
            return 200, self.state.raw.encode()
        self._spend(len(requests))
        answers = [self._report(one, is_numbered) for one in requests]
        if path.endswith(":batchRunReports"):
            return 200, {"reports": answers, "kind": "analyticsData#batchRunReports"}
        return 200, answers[0]

    def _refused(self, asked: dict[str, Any]) -> tuple[int, Any] | None:
        state = self.state
        hit = state.refuse_only in {None, asked["dimensions"][0]["name"]}
        if state.refusal is not None and hit and state.refuse_times:
            state.refuse_times -= 1
            status, message = state.refusal
            if status >= 500:
                state.remaining["serverErrorsPerProjectPerHour"] -= 1
            return refused(status, message)
        if state.enforces:
            for name, left in state.remaining.items():
                if left <= 0:
                    return refused(429, SAID[name])
            if self.under_way > LIMITS["concurrentRequests"]:
                return refused(429, SAID["concurrentRequests"])
        return None

    def _spend(self, count: int) -> None:
        for name in LIMITS:
            if name.startswith("tokens"):
                self.state.remaining[name] -= (self.state.cost + self.state.others) * count

    def _quota(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, left in self.state.remaining.items():
            # proto3's JSON leaves out a number that is zero.
            found[name] = {"remaining": left} if left else {}
            if name.startswith("tokens"):
                found[name]["consumed"] = self.state.cost
        return found

    def _report(self, asked: dict[str, Any], is_numbered: bool) -> dict[str, Any]:
        state = self.state
        dimensions = [item["name"] for item in asked.get("dimensions", [])]
        metrics = [item["name"] for item in asked["metrics"]]
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 10_000))
        rows = self._rows(dimensions, metrics, asked["dateRanges"][0]["startDate"])
        if offset:
            rows = self._restated(rows, offset)
        answer: dict[str, Any] = {
            "kind": "analyticsData#runReport",
            "metadata": {"currencyCode": state.currency, "timeZone": state.time_zone},
        }
        if asked.get("returnPropertyQuota") and state.says_quota:
            answer["propertyQuota"] = self._quota()
        for place, metadata in state.metadata_at.items():
            if offset <= int(place) < offset + limit:
                answer["metadata"] |= metadata
        if not rows:
            return answer
        count = len(rows)
        if offset and state.shifts:
            state.shifts -= 1
            count += 1
        kind: Any = TYPES["TYPE_INTEGER"] if is_numbered else "TYPE_INTEGER"
        return answer | {
            "dimensionHeaders": [{"name": name} for name in dimensions],
            "metricHeaders": [
                {"name": state.renamed_metric or name, "type": kind} for name in metrics
            ],
            "rows": [
                {
                    "dimensionValues": [{"value": value} if value else {} for value in values],
                    "metricValues": [{"value": value} for value in numbers],
                }
                for values, numbers in rows[offset : offset + limit]
            ],
            "rowCount": count,
        }

    def _rows(self, dimensions: list[str], metrics: list[str], day: str) -> Rows:
        state = self.state
        if dimensions and dimensions[0] in state.rows:
            return list(state.rows[dimensions[0]])
        if not state.made_up:
            return []
        return made_up_rows(
            state.seed,
            state.made_up,
            tuple(dimensions),
            len(metrics),
            date.fromisoformat(day),
            date.fromisoformat(state.today),
        )

    def _restated(self, rows: Rows, offset: int) -> Rows:
        """Let rows come and go between two pages, so that the count stays."""
        new = [[*rows[0][0][:-1], "\x7f"], rows[0][1]]
        if self.state.moves:
            self.state.moves -= 1
            return [rows[0], *rows[:-1]]
        if self.state.drops:
            self.state.drops -= 1
            return [*rows[1:], new]
        return rows


@lru_cache(maxsize=8)
def made_up_rows(
    seed: int, count: int, dimensions: tuple[str, ...], metrics: int, day: date, today: date
) -> Rows:
    """The same rows for the same day and clock; young days have not all their numbers yet."""
    share = min(10, 7 + max((today - day).days, 0))
    numbers = random.Random(f"{seed} {day} {dimensions}")
    found = []
    for n in range(count):
        values = [f"{day:%Y%m%d}" if name == "date" else f"/page-{n:06}" for name in dimensions]
        counts = [str(numbers.randrange(10, 500) * share // 10) for _ in range(metrics)]
        found.append([values, counts])
    return found


def refused(status: int, message: str) -> tuple[int, Any]:
    words = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
    }
    words |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    return status, {
        "error": {"code": status, "message": message, "status": words.get(status, "UNKNOWN")}
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: Fake

    def do_GET(self) -> None:
        if self.path == "/_journal":
            with self.fake.lock:
                self._answer(200, self.fake.journal)
        elif self.path.endswith("/metadata"):
            name = self.path[len("/v1beta/") :]
            self._answer(200, {"name": name, "dimensions": [], "metrics": []})
        else:
            self._answer(*refused(404, "Not found."))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        orders = {
            "/_set": self.fake.set,
            "/_clock": self.fake.move_clock,
            "/_forget": self.fake.forget,
        }
        if self.path in orders:
            with self.fake.lock:
                orders[self.path](asked)
            self._answer(200, {"today": self.fake.state.today})
        else:
            self._answer(*self.fake.respond(self.path, dict(self.headers), asked))

    def _answer(self, status: int, found: Any) -> None:
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Ga4:
    """A running fake, as a test sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30)

    def set(self, **changes: Any) -> None:
        self._http.post("/_set", json=changes).raise_for_status()

    def move_clock(self, hours: int) -> None:
        self._http.post("/_clock", json={"hours": hours}).raise_for_status()

    def forget(self) -> None:
        """Behave as at the start, with an empty journal."""
        self._http.post("/_forget", json={}).raise_for_status()

    @property
    def journal(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._http.get("/_journal").json()
        return found

    def ask(self, property_id: str, body: dict[str, Any]) -> Any:
        """Return runReport's answer."""
        return json.loads(self.ask_raw(property_id, body))

    def ask_raw(self, property_id: str, body: dict[str, Any]) -> str:
        """Return runReport's answer, to be recorded."""
        return self._http.post(f"/v1beta/properties/{property_id}:runReport", json=body).text

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_ga4() -> Iterator[Ga4]:
    """Start the process; it ends with the block."""
    command = [sys.executable, "-m", "tests.fakes.ga4", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            fake = Ga4(process.stdout.readline().strip())
            yield fake
            fake.close()
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.ga4", description=__doc__)
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--rows", type=int, default=0, help="rows to make up per report and day")
    options = parser.parse_args()
    fake = Fake()
    fake.state.made_up = options.rows
    Handler.fake = fake
    with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
        click.echo(f"http://127.0.0.1:{server.server_address[1]}")
        try:
            server.serve_forever(0.05)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
