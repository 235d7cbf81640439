"""Read a sitemap from chunks of bytes: streaming, bounded, refusing what is not one."""

from __future__ import annotations

import codecs
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from xml.parsers import expat

from ocd.core.errors import ContractBroken
from ocd.sources.sitemaps import location
from ocd.sources.sitemaps.inflate import inflated

#: URLs per file that the protocol allows (sitemaps.org).
MAX_URLS = 50_000
#: A sitemap with videos is six deep.
MAX_DEPTH = 32
#: Longest text kept of one element: enough to see that a location is too long.
MAX_TEXT = 4096
#: Longest single piece of markup; expat holds one whole in memory.
MAX_MARKUP_BYTES = 256 * 1024
_MAX_LASTMOD = 64
_ENTRY_OF = {"urlset": "url", "sitemapindex": "sitemap"}
_HTML = "sitemap: an HTML page instead of a sitemap (a password page, or a challenge)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One URL as the sitemap claims it.

    The fingerprint covers location and images (address and title); lastmod is left out, because
    shops rewrite it daily.
    """

    loc: str
    lastmod_raw: str | None
    lastmod_at: datetime | None
    fingerprint: str


@dataclass
class Parsed:
    """One file: how many usable URLs, or an index's children as they stand; odd things by kind."""

    is_index: bool = False
    url_count: int = 0
    children: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0


def read(
    chunks: Iterable[bytes],
    keep: Callable[[Entry], None],
    *,
    hosts: frozenset[str],
    now: datetime,
) -> Parsed:
    """Parse a sitemap or sitemap index, gzipped or plain, XML or text; `keep` gets each usable URL.

    Raises ContractBroken for anything else: empty, HTML, truncated, malformed, with a DOCTYPE, too
    large. What `keep` got until then is worth nothing.
    """
    file = _File(keep, hosts, now)
    plain = _counted(inflated(chunks), file.parsed)
    first = _first(plain)
    start = first.removeprefix(codecs.BOM_UTF8).lstrip()[:64].lower()
    if not start:
        raise ContractBroken("sitemap: empty body")
    if start.startswith((b"<!doctype html", b"<html")):
        raise ContractBroken(_HTML)
    if start.startswith((b"http://", b"https://")):
        _read_text(chain([first], plain), file)
    else:
        _Xml(file).feed(first, plain)
    parsed = file.parsed
    if not parsed.is_index and not parsed.url_count:
        if parsed.warnings:
            raise ContractBroken(f"sitemap: no usable location: {told(parsed.warnings)}")
        parsed.warnings["file without URLs"] += 1
    return parsed


def told(warnings: Counter[str]) -> str:
    """Return warnings in words, most frequent first."""
    return ", ".join(f"{count:,} x {kind}" for kind, count in warnings.most_common())


def _counted(chunks: Iterator[bytes], parsed: Parsed) -> Iterator[bytes]:
    for chunk in chunks:
        parsed.bytes_read += len(chunk)
        yield chunk


def _first(plain: Iterator[bytes]) -> bytes:
    """Return enough of the beginning to tell what it is; leading blanks are skipped, not kept."""
    first = b""
    for chunk in plain:
        first += chunk
        if len(first.lstrip()) >= 64:
            return first
        if len(first) > MAX_MARKUP_BYTES:
            raise ContractBroken("sitemap: nothing but blanks at its beginning")
    return first


class _File:
    """Counts and hands on what a file holds, whatever its format."""

    def __init__(self, keep: Callable[[Entry], None], hosts: frozenset[str], now: datetime) -> None:
        self.parsed = Parsed()
        self._keep, self._hosts, self._now = keep, hosts, now

    def add(self, raw_loc: str, raw_lastmod: str | None, fingerprint: hashlib._Hash) -> None:
        """Keep a URL if its location is usable."""
        parsed = self.parsed
        loc = location.canonical(raw_loc, self._hosts, parsed.warnings)
        if loc is None:
            return
        parsed.url_count += 1
        if parsed.url_count > MAX_URLS:
            raise ContractBroken(f"sitemap: more than {MAX_URLS:,} URLs in one file")
        instant = location.lastmod(raw_lastmod, self._now, parsed.warnings)
        fingerprint.update(loc.encode())
        raw = raw_lastmod.strip()[:_MAX_LASTMOD] if raw_lastmod else None
        self._keep(Entry(loc, raw or None, instant, fingerprint.hexdigest()[:32]))

    def add_child(self, raw_loc: str) -> None:
        """Keep an index's child as it stands; whoever fetches it judges it."""
        self.parsed.children.append(raw_loc.strip())
        if len(self.parsed.children) > MAX_URLS:
            raise ContractBroken(f"sitemap: more than {MAX_URLS:,} files in one index")


def _read_text(chunks: Iterator[bytes], file: _File) -> None:
    for line in _lines(chunks):
        if line.strip():
            file.add(line.strip(), None, hashlib.sha256())


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    left = ""
    try:
        for chunk in chunks:
            *whole, left = (left + decoder.decode(chunk)).split("\n")
            yield from whole
            if len(left) > MAX_TEXT:
                raise ContractBroken("sitemap: text with a line longer than any URL")
        yield left + decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise ContractBroken("sitemap: text that is not UTF-8") from None


class _Xml:
    """Follows url and sitemap elements; neither the namespace nor its prefix matters."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self._parsed = file.parsed
        self._path: list[str] = []
        self._text: list[str] = []
        self._is_wanted = False
        self._room = 0  # characters of the present element that may still be kept
        self._fields: dict[str, str] = {}
        self._fingerprint = hashlib.sha256()
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.buffer_text = True
        self._parser = parser

    def feed(self, first: bytes, rest: Iterator[bytes]) -> None:
        """Parse to the end; raises ContractBroken with line and column."""
        # An XML declaration must stand at the very start; blank lines before it are a common slip.
        stripped = first.lstrip(b"\r\n \t")
        if stripped != first:
            self._parsed.warnings["blank before the XML declaration"] += 1
        fed = 0
        try:
            for chunk in chain([stripped], rest):
                self._parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - self._parser.CurrentByteIndex > MAX_MARKUP_BYTES + len(chunk):
                    raise ContractBroken(
                        "sitemap: a single tag or comment larger than any real one"
                    )
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset}"
            raise ContractBroken(
                f"sitemap: not well-formed at {where}: {expat.ErrorString(error.code)}"
            ) from None
        except (ValueError, LookupError):
            raise ContractBroken("sitemap: declared in an encoding that is not known") from None

    def _doctype(self, name: str, *_: object) -> None:
        if name.lower() == "html":
            raise ContractBroken(_HTML)
        raise ContractBroken("sitemap: a DOCTYPE is refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes  # hreflang and the like; not followed
        namespace, local = name.rpartition(" ")[::2]
        if not self._path:
            self._open_root(namespace, local)
        self._path.append(local)
        depth = len(self._path)
        if depth > MAX_DEPTH:
            raise ContractBroken("sitemap: nested too deeply")
        self._text.clear()
        self._is_wanted = self._wants(depth, local)
        self._room = MAX_TEXT if self._is_wanted else 0
        if depth == 2:
            self._fields = {}
            self._fingerprint = hashlib.sha256()

    def _wants(self, depth: int, local: str) -> bool:
        if depth == 3:
            return local in {"loc", "lastmod"}
        return depth == 4 and local in {"loc", "title"} and self._path[2] == "image"

    def _open_root(self, namespace: str, local: str) -> None:
        if local.lower() == "html":
            raise ContractBroken(_HTML)
        if local not in _ENTRY_OF:
            raise ContractBroken(
                f"sitemap: the root element is {local[:40]!r}, expected urlset or sitemapindex"
            )
        self._parsed.is_index = local == "sitemapindex"
        if not namespace:
            self._parsed.warnings["no namespace"] += 1

    def _characters(self, text: str) -> None:
        if self._room:
            kept = text[: self._room]
            self._text.append(kept)
            self._room -= len(kept)

    def _end(self, _: str) -> None:
        depth = len(self._path)
        local = self._path.pop()
        if depth == 3 and self._is_wanted:
            self._fields.setdefault(local, "".join(self._text))
        elif depth == 4 and self._is_wanted:
            self._fingerprint.update(f"{local}={''.join(self._text).strip()}\n".encode())
        elif depth == 2:
            self._close(local)
        self._room = 0
        self._is_wanted = False

    def _close(self, local: str) -> None:
        if local != _ENTRY_OF[self._path[0]]:
            self._parsed.warnings["unexpected element"] += 1
        elif self._parsed.is_index:
            self._file.add_child(self._fields.get("loc", ""))
        else:
            loc, claimed = self._fields.get("loc", ""), self._fields.get("lastmod")
            self._file.add(loc, claimed, self._fingerprint)
