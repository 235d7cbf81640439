"""Read a sitemap from chunks of bytes: streaming, bounded, refusing what is not one."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit
from xml.parsers import expat

from ocd.core.errors import ContractBroken

#: Limits of the protocol (sitemaps.org): 50,000 URLs and 50 MB uncompressed per file, 2,048 characters a URL.
MAX_URLS = 50_000
MAX_BYTES = 50 * 1024 * 1024
MAX_LOC = 2048
MAX_DEPTH = 32
MAX_RATIO = 200
_ROOTS = {"urlset", "sitemapindex"}


@dataclass(frozen=True)
class Entry:
    """One URL as the sitemap claims it; the fingerprint leaves lastmod out, which shops rewrite daily."""

    loc: str
    lastmod_raw: str | None
    lastmod_at: datetime | None
    fingerprint: str


@dataclass
class Parsed:
    """One file: an index's children, or URLs; warnings by kind."""

    is_index: bool = False
    entries: list[Entry] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0


def read(chunks: Iterable[bytes]) -> Parsed:
    """Parse a sitemap or sitemap index, gzipped or plain, XML or text.

    Raises ContractBroken for anything else: empty, HTML, truncated, malformed, with a DOCTYPE, too large.
    """
    found = Parsed()
    plain = _counted(_inflated(chunks), found)
    first = next(plain, b"")
    while first and len(first) < 64:
        more = next(plain, None)
        if more is None:
            break
        first += more
    start = first.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if not start:
        raise ContractBroken("sitemap: empty body")
    if start.startswith((b"<!doctype html", b"<html")):
        raise ContractBroken(
            "sitemap: an HTML page instead of a sitemap (a password page, or a challenge)"
        )
    if start.startswith((b"http://", b"https://")):
        return _read_text(first, plain, found)
    _Xml(found).feed(first, plain)
    return found


def _counted(chunks: Iterator[bytes], found: Parsed) -> Iterator[bytes]:
    for chunk in chunks:
        found.bytes_read += len(chunk)
        if found.bytes_read > MAX_BYTES:
            raise ContractBroken(f"sitemap: more than {MAX_BYTES // 2**20} MiB uncompressed")
        yield chunk


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack one layer of gzip if the first bytes say so, in bounded pieces."""
    iterator = iter(chunks)
    first = next(iterator, b"")
    while 0 < len(first) < 2:
        more = next(iterator, None)
        if more is None:
            break
        first += more
    if first[:2] != b"\x1f\x8b":
        yield first
        yield from iterator
        return
    unpacker = _Gunzip()
    for chunk in _chain(first, iterator):
        yield from unpacker.feed(chunk)
    unpacker.close()


class _Gunzip:
    """Unpacks gzip members in pieces of bounded size."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)
        self._size_in = self._size_out = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the chunk unpacks to; bytes behind the last member are ignored."""
        self._size_in += len(chunk)
        rest = chunk
        while rest:
            if self._unpacker.eof:
                if not rest.startswith(b"\x1f\x8b"):
                    return
                self._unpacker = zlib.decompressobj(wbits=31)
            yield self._piece(rest)
            rest = (
                self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            )

    def close(self) -> None:
        """Raise ContractBroken unless the last member was complete."""
        if not self._unpacker.eof:
            raise ContractBroken("sitemap: truncated gzip")

    def _piece(self, rest: bytes) -> bytes:
        try:
            piece = self._unpacker.decompress(rest, 64 * 1024)
        except zlib.error as error:
            raise ContractBroken("sitemap: damaged gzip") from error
        self._size_out += len(piece)
        if self._size_out > MAX_RATIO * max(self._size_in, 4096):
            raise ContractBroken("sitemap: gzip expands beyond any real sitemap")
        return piece


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read_text(first: bytes, rest: Iterator[bytes], found: Parsed) -> Parsed:
    body = b"".join(_chain(first, rest))
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ContractBroken("sitemap: text that is not UTF-8") from error
    for line in lines:
        if line.strip():
            _add(found, line.strip(), None, "")
    return found


class _Xml:
    """Collects url and sitemap elements; the namespace's prefix does not matter."""

    def __init__(self, found: Parsed) -> None:
        self._found = found
        self._path: list[str] = []
        self._text: list[str] = []
        self._fields: dict[str, str] = {}
        self._extra = ""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._doctype
        parser.buffer_text = True
        self._parser = parser

    def feed(self, first: bytes, rest: Iterator[bytes]) -> None:
        try:
            # An XML declaration must stand at the very start; blank lines before it are a common slip.
            stripped = first.lstrip(b"\r\n \t")
            if stripped != first:
                self._found.warnings["blank before XML declaration"] += 1
            self._parser.Parse(stripped, False)
            for chunk in rest:
                self._parser.Parse(chunk, False)
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise ContractBroken(
                f"sitemap: not well-formed at line {error.lineno}, column {error.offset}: {expat.ErrorString(error.code)}"
            ) from error

    def _doctype(self, *_: object) -> None:
        raise ContractBroken("sitemap: a DOCTYPE is refused")

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._path:
            if local not in _ROOTS:
                raise ContractBroken(
                    f"sitemap: the root element is {local[:40]!r}, expected urlset or sitemapindex"
                )
            self._found.is_index = local == "sitemapindex"
            if not namespace:
                self._found.warnings["no namespace"] += 1
        self._path.append(local)
        if len(self._path) > MAX_DEPTH:
            raise ContractBroken("sitemap: nested too deeply")
        self._text.clear()
        if len(self._path) == 2:
            self._fields, self._extra = {}, ""

    def _end(self, name: str) -> None:
        value = "".join(self._text).strip()
        self._text.clear()
        depth = len(self._path)
        local = self._path.pop()
        if depth == 3:
            self._fields[local] = value
        elif depth == 4 and value:
            self._extra += f"{local}={value}\n"
        elif depth == 2:
            self._close(local)

    def _close(self, local: str) -> None:
        loc = self._fields.get("loc", "")
        if local == "sitemap" and self._found.is_index:
            if _fault(loc) is None:
                self._found.children.append(loc)
            else:
                self._found.warnings[f"child: {_fault(loc)}"] += 1
        elif local == "url" and not self._found.is_index:
            _add(self._found, loc, self._fields.get("lastmod"), self._extra)


def _add(found: Parsed, loc: str, lastmod: str | None, extra: str) -> None:
    fault = _fault(loc)
    if fault is not None:
        found.warnings[fault] += 1
        return
    if len(found.entries) >= MAX_URLS:
        raise ContractBroken(f"sitemap: more than {MAX_URLS:,} URLs in one file")
    instant = parse_lastmod(lastmod) if lastmod else None
    if lastmod and instant is None:
        found.warnings["lastmod is no W3C date"] += 1
    found.entries.append(
        Entry(
            loc,
            lastmod or None,
            instant,
            hashlib.sha256(f"{loc}\n{extra}".encode()).hexdigest()[:32],
        )
    )


def _fault(loc: str) -> str | None:
    """Return what is wrong with a location, in words; None when it is fine."""
    if not loc:
        return "empty location"
    if len(loc) >= MAX_LOC:
        return "location too long"
    if any(character.isspace() for character in loc):
        return "location with white space"
    try:
        parts = urlsplit(loc)
        host = parts.hostname
    except ValueError:
        return "location is no URL"
    if parts.scheme not in {"http", "https"} or not host:
        return "location not absolute http(s)"
    if parts.username is not None or parts.password is not None:
        return "location with credentials"
    return "location with a fragment" if parts.fragment else None


def parse_lastmod(raw: str) -> datetime | None:
    """Return the instant of a W3C datetime (a date alone, or with a zone); None for anything else."""
    text = raw.strip().replace("Z", "+00:00")
    if len(text) in {4, 7} and text[:4].isdigit():
        text = f"{text}-01-01"[:10] if len(text) == 4 else f"{text}-01"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if "T" in text and found.tzinfo is None:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC)
