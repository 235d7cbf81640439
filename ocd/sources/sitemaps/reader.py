"""Read a sitemap from chunks of bytes: streaming, bounded, refusing what is not one."""

from __future__ import annotations

import codecs
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple
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
_MAX_NAMES = 256
_NO_IMAGE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class _Format:
    """Where a kind of file has its entries, and which of their elements say what."""

    entry: tuple[str, ...]
    fields: dict[str, str]
    is_feed: bool = False


#: By root element. RSS and Atom are what the protocol allows besides its own (sitemaps.org, "other formats").
_FORMATS = {
    "urlset": _Format(("urlset", "url"), {"loc": "loc", "lastmod": "lastmod"}),
    "sitemapindex": _Format(("sitemapindex", "sitemap"), {"loc": "loc"}),
    "rss": _Format(("rss", "channel", "item"), {"link": "loc", "pubDate": "lastmod"}, is_feed=True),
    "feed": _Format(("feed", "entry"), {"updated": "lastmod"}, is_feed=True),
}
_IMAGE_PARTS = frozenset({"loc", "title", "caption"})
_FEED = "a feed, which may name the newest pages only"
_HTML = "sitemap: an HTML page instead of a sitemap (a password page, or a challenge)"


class Entry(NamedTuple):
    """One URL as the sitemap claims it.

    The fingerprint covers location and images (address, title, caption); lastmod is left out,
    because shops rewrite it daily.
    """

    loc: str
    lastmod_raw: str | None
    lastmod_at: datetime | None
    fingerprint: str
    image_loc: str | None = None
    image_title: str | None = None


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
    keep: Callable[[Entry], object],
    *,
    hosts: frozenset[str],
    now: datetime,
) -> Parsed:
    """Parse a sitemap, index or feed, gzipped or plain, XML or text; `keep` gets each usable URL.

    Raises ContractBroken for anything else: empty, HTML, truncated, malformed, with a DOCTYPE, too
    large. What `keep` got until then is worth nothing.
    """
    return parse(inflated(chunks), keep, hosts=hosts, now=now)


def parse(
    chunks: Iterator[bytes],
    keep: Callable[[Entry], object],
    *,
    hosts: frozenset[str],
    now: datetime,
) -> Parsed:
    """Do the same with what is unpacked already."""
    file = _File(keep, hosts, now)
    plain = _counted(chunks, file.parsed)
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

    def __init__(
        self, keep: Callable[[Entry], object], hosts: frozenset[str], now: datetime
    ) -> None:
        self.parsed = Parsed()
        self._keep, self._hosts, self._now = keep, hosts, now

    def add(
        self,
        raw_loc: str,
        raw_lastmod: str | None,
        fingerprint: hashlib._Hash,
        image: Mapping[str, str] = _NO_IMAGE,
    ) -> None:
        """Keep a URL if its location is usable; `image` has `loc` and `title` of the first one."""
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
        self._keep(
            Entry(
                loc,
                raw or None,
                instant,
                fingerprint.hexdigest()[:32],
                image.get("loc"),
                image.get("title"),
            )
        )

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
    """Follows entries of a known format; neither the namespace nor its prefix matters."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self._parsed = file.parsed
        self._format = _FORMATS["urlset"]
        self._level = -1  # 0 is an entry; known once the root is
        self._path: list[str] = []
        self._locals: dict[str, str] = {}
        self._is_entry = False
        self._field: str | None = None  # what the text of the element at `_field_level` is
        self._field_level = 0
        self._text: list[str] = []
        self._room = 0  # characters of the present element that may still be kept
        self._fields: dict[str, str] = {}
        self._image: dict[str, str] = {}
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
        local = self._locals.get(name) or self._local(name)
        self._path.append(local)
        level = self._level = self._level + 1
        if level <= 0:
            self._outside(name, local)
        elif not self._is_entry or level > 2:
            if len(self._path) > MAX_DEPTH:
                raise ContractBroken("sitemap: nested too deeply")
        elif level == 2:
            if local in _IMAGE_PARTS and self._path[-2] == "image":
                self._listen(local)
        elif self._format.is_feed:
            self._open_feed_field(name, local, attributes)
        elif local in self._format.fields:
            self._listen(self._format.fields[local])

    def _local(self, name: str) -> str:
        """Return a name without its namespace; the few that real files have are remembered."""
        local = name.rpartition(" ")[2]
        if len(self._locals) < _MAX_NAMES:
            self._locals[name] = local
        return local

    def _outside(self, name: str, local: str) -> None:
        if len(self._path) == 1:
            self._open_root(name.rpartition(" ")[0], local)
        if self._level == 0:
            self._open_entry()

    def _open_root(self, namespace: str, local: str) -> None:
        if local.lower() == "html":
            raise ContractBroken(_HTML)
        if local not in _FORMATS:
            raise ContractBroken(
                f"sitemap: the root element is {local[:40]!r}, expected urlset or sitemapindex"
            )
        self._format = _FORMATS[local]
        self._level = 1 - len(self._format.entry)
        self._parsed.is_index = local == "sitemapindex"
        if self._format.is_feed:
            self._parsed.warnings[_FEED] += 1
        elif not namespace:
            self._parsed.warnings["no namespace"] += 1

    def _open_entry(self) -> None:
        self._is_entry = tuple(self._path) == self._format.entry
        if self._is_entry:
            self._fields, self._image = {}, {}
            self._fingerprint = hashlib.sha256()
        elif not self._format.is_feed:
            self._parsed.warnings["unexpected element"] += 1

    def _open_feed_field(self, name: str, local: str, attributes: dict[str, str]) -> None:
        is_atom = self._path[0] == "feed"
        if local == "link" and "href" in attributes:
            # Atom says it in an attribute. One within an RSS item is about the feed itself.
            if is_atom and attributes.get("rel", "alternate") == "alternate":
                self._fields.setdefault("loc", attributes["href"][:MAX_TEXT])
        elif local in self._format.fields and (is_atom or " " not in name):
            self._listen(self._format.fields[local])

    def _listen(self, field: str) -> None:
        self._field, self._field_level = field, self._level
        self._room = MAX_TEXT
        self._text.clear()

    def _characters(self, text: str) -> None:
        if self._room:
            kept = text[: self._room]
            self._text.append(kept)
            self._room -= len(kept)

    def _end(self, _: str) -> None:
        level = self._level
        self._level = level - 1
        self._path.pop()
        if self._field is not None and level == self._field_level:
            self._close_field(self._field, "".join(self._text), level)
            self._field = None
            self._room = 0
        elif level == 0 and self._is_entry:
            self._is_entry = False
            self._close_entry()

    def _close_field(self, field: str, text: str, level: int) -> None:
        if level == 1:
            self._fields.setdefault(field, text)
        elif level == 2:
            text = text.strip()
            self._image.setdefault(field, text)
            self._fingerprint.update(f"{field}={text}\n".encode())

    def _close_entry(self) -> None:
        loc, claimed = self._fields.get("loc", ""), self._fields.get("lastmod")
        if self._parsed.is_index:
            self._file.add_child(loc)
            return
        if self._path[0] == "rss":
            claimed = location.w3c_of_rfc822(claimed)
        self._file.add(loc, claimed, self._fingerprint, self._image)
