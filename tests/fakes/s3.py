"""An S3-compatible bucket on loopback: whole and ranged reads, lists, multipart, conditional writes, and faults."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

BUCKET = "vault"
#: What S3 takes as a part that is not the last.
MIN_PART = 5 * 1024 * 1024


@dataclass
class FakeS3:
    """What it holds, how it is reached, and how it misbehaves."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    #: upload id → (key, part number → bytes)
    uploads: dict[str, tuple[str, dict[int, bytes]]] = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)
    #: Asked for every request (method, path with query): "503", "timeout", "cut", "reset", "403" or None.
    fault: Callable[[str, str], str | None] = lambda method, path: None
    has_conditional_put: bool = True
    #: Without conditional writes: replaces silently, instead of answering 501.
    ignores_conditions: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """AWS_* variables with which a process reaches it."""
        return {
            "AWS_ENDPOINT": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    @property
    def options(self) -> dict[str, Any]:
        """The same, for a store in this process."""
        return {
            name.removeprefix("AWS_").lower(): value
            for name, value in self.environment.items()
            if name != "AWS_ALLOW_HTTP"
        }


@contextmanager
def fake_s3() -> Iterator[FakeS3]:
    """Run one until the body ends."""
    fake = FakeS3()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield fake
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeS3
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with fake.lock:
            fake.journal.append((self.command, self.path))
            fault = fake.fault(self.command, self.path)
        if fault == "timeout":
            time.sleep(5)
        if fault in {"timeout", "reset"}:
            self.close_connection = True
            return
        if fault in {"503", "403"}:
            self._answer(int(fault), b"<Error><Code>SlowDown</Code><Message>no</Message></Error>")
            return
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        with fake.lock:
            status, answer, headers = getattr(self, f"_{self.command.lower()}")(key, query, body)
        self._answer(status, answer, headers, is_cut=fault == "cut")

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _get(self, key: str, query: dict[str, str], body: bytes) -> Any:
        if "list-type" in query:
            return 200, self._listed(query), {}
        content = self.fake.objects.get(key)
        if content is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        headers = self._object_headers(content)
        asked = self.headers.get("range")
        if asked:
            first, last = asked.removeprefix("bytes=").split("-")
            end = min(int(last) if last else len(content) - 1, len(content) - 1)
            headers["content-range"] = f"bytes {first}-{end}/{len(content)}"
            return 206, content[int(first) : end + 1], headers
        return 200, content, headers

    def _head(self, key: str, query: dict[str, str], body: bytes) -> Any:
        content = self.fake.objects.get(key)
        if content is None:
            return 404, b"", {}
        return 200, content, self._object_headers(content)

    def _put(self, key: str, query: dict[str, str], body: bytes) -> Any:
        if "uploadId" in query:
            self.fake.uploads[query["uploadId"]][1][int(query["partNumber"])] = body
            return 200, b"", {"etag": _etag(body)}
        if self.headers.get("if-none-match") == "*":
            if not self.fake.has_conditional_put and not self.fake.ignores_conditions:
                return 501, b"<Error><Code>NotImplemented</Code></Error>", {}
            if key in self.fake.objects and not self.fake.ignores_conditions:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        self.fake.objects[key] = body
        return 200, b"", {"etag": _etag(body)}

    def _post(self, key: str, query: dict[str, str], body: bytes) -> Any:
        if "delete" in query:
            return 200, self._deleted(body), {}
        if "uploads" in query:
            number = f"upload-{len(self.fake.journal)}"
            self.fake.uploads[number] = (key, {})
            return (
                200,
                f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>".encode(),
                {},
            )
        key, parts = self.fake.uploads[query["uploadId"]]
        ordered = [parts[number] for number in sorted(parts)]
        if any(len(part) < MIN_PART for part in ordered[:-1]):
            return 400, b"<Error><Code>EntityTooSmall</Code></Error>", {}
        del self.fake.uploads[query["uploadId"]]
        self.fake.objects[key] = b"".join(ordered)
        etag = escape(_etag(self.fake.objects[key]))
        return (
            200,
            f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>".encode(),
            {},
        )

    def _delete(self, key: str, query: dict[str, str], body: bytes) -> Any:
        if "uploadId" in query:
            self.fake.uploads.pop(query["uploadId"], None)
        else:
            self.fake.objects.pop(key, None)
        return 204, b"", {}

    def _deleted(self, body: bytes) -> bytes:
        keys = [str(item.text) for item in ET.fromstring(body).iter() if item.tag.endswith("Key")]
        for key in keys:
            self.fake.objects.pop(key, None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return f"<DeleteResult>{gone}</DeleteResult>".encode()

    def _listed(self, query: dict[str, str]) -> bytes:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        names = sorted(
            name for name in self.fake.objects if name.startswith(prefix) and name > after
        )
        page, rest = names[:100], names[100:]
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.fake.objects[name])}</Size>"
            f"<LastModified>2026-11-23T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for name in page
        )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if rest else ""
        return f"<ListBucketResult>{found}{more}</ListBucketResult>".encode()

    def _object_headers(self, content: bytes) -> dict[str, str]:
        return {"etag": _etag(content), "last-modified": formatdate(usegmt=True)}

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        is_cut: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = self.close_connection or is_cut
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked is gone
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if is_cut else body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
