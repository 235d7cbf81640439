"""Read all files of a site's sitemap, found by robots.txt or named; bounded as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused
from ocd.core.store import Store
from ocd.sources.sitemaps import bodies, location, policy, reader
from ocd.sources.sitemaps import robots as robots_txt
from ocd.sources.sitemaps.bodies import Copy
from ocd.sources.sitemaps.fetch import Answer, Known, Visit
from ocd.sources.sitemaps.inflate import inflated
from ocd.sources.sitemaps.reader import Entry, Parsed
from ocd.sources.sitemaps.robots import Robots

MAX_FILES = 50
#: Twice a shop of 125,000 products; all locations stand in memory once.
MAX_SITE_URLS = 250_000


@dataclass(frozen=True)
class File:
    """One file as it was read; `sha256` names its plain body, of which a copy is kept."""

    loc: str
    url_count: int
    sha256: str
    bytes_wire: int
    bytes_plain: int
    is_not_modified: bool
    etag: str | None
    last_modified: str | None

    @property
    def path_key(self) -> str:
        """The address without its query: shops number their files by what is in them."""
        return self.loc.partition("?")[0]

    @property
    def known(self) -> Known:
        """What lets the site say that it is as it was."""
        return Known(self.etag, self.last_modified)


@dataclass
class Reading:
    """All files of one site, read. Use as a context manager: it holds copies of what was sent."""

    hosts: frozenset[str]
    now: datetime
    entries: dict[str, Entry] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    copies: dict[str, Copy] = field(default_factory=dict)
    duplicates: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    robots: Robots = field(default_factory=lambda: robots_txt.parse("", ""))
    _closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def copy(self) -> Copy:
        """Return a new copy, closed with the reading."""
        made = Copy()
        self._closing.callback(made.close)
        return made

    def keep(self, entry: Entry) -> None:
        """Take a URL."""
        # The first of two equal locations counts: order in the file, so that a rerun decides alike.
        if self.entries.setdefault(entry.loc, entry) is not entry:
            self.duplicates += 1
        elif len(self.entries) > MAX_SITE_URLS:
            raise ContractBroken(f"sitemap: more than {MAX_SITE_URLS:,} URLs on one site")

    def fingerprints(self) -> dict[str, str]:
        """Return {URL: fingerprint}."""
        return {loc: entry.fingerprint for loc, entry in self.entries.items()}

    def urls_per_file(self) -> dict[str, int]:
        """Return {file without its query: URLs}."""
        return urls_per_file(self.files)

    @property
    def is_lastmod_uniform(self) -> bool:
        """Whether lastmod says nothing."""
        return policy.is_lastmod_uniform(entry.lastmod_raw for entry in self.entries.values())


def urls_per_file(files: list[File]) -> dict[str, int]:
    """Return {file without its query: URLs}."""
    return {one.path_key: one.url_count for one in files}


def site_of(url: str) -> str:
    """Return what a site's history is kept under: host, with its port where it is not the usual one."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in location.DEFAULT_PORTS or "@" in parts.netloc:
        raise ConfigError(
            "OCD_SITEMAP_URL: expected http(s)://host/ or http(s)://host/sitemap.xml, without credentials"
        )
    return host if port in {None, location.DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"


def read_site(
    url: str,
    *,
    visit: Visit,
    store: Store,
    known: Mapping[str, File],
    progress: Callable[[int, int, str], Any],
) -> Reading:
    """Read every file that the site names, once each, in order.

    `url` is a sitemap, or the site itself: then robots.txt says where its sitemaps are. `known` are
    the files of the last reading by address; those that are as they were come from their copies.
    One file that cannot be read refuses the whole: it would look like removed pages.
    """
    reading = Reading(frozenset({location.host_key(urlsplit(url))}), visit.now)
    try:
        _Site(reading, visit, store, known, progress).read(url)
    except BaseException:
        reading.__exit__()
        raise
    return reading


@dataclass
class _Site:
    reading: Reading
    visit: Visit
    store: Store
    known: Mapping[str, File]
    progress: Callable[[int, int, str], Any]

    def read(self, url: str) -> None:
        reading = self.reading
        for top in self._entry_points(url):
            is_own = location.host_key(urlsplit(top)) in reading.hosts
            parsed = self._read_file(top, speaks_for_site=is_own)
            hosts = reading.hosts | {location.host_key(urlsplit(top))}
            read = {one.loc for one in reading.files}
            children = [
                one for one in _checked_children(parsed.children, top, hosts) if one not in read
            ]
            if len(reading.files) + len(children) > MAX_FILES:
                raise ContractBroken(f"sitemap: more than {MAX_FILES} files")
            for number, child in enumerate(children, 1):
                if self._read_file(child).is_index:
                    raise ContractBroken(
                        "sitemap: an index within an index, which the protocol forbids"
                    )
                self.progress(number, len(children), "files")
        if not reading.entries:
            raise ContractBroken("sitemap: no URL at all; a shop without pages is not believed")

    def _entry_points(self, url: str) -> tuple[str, ...]:
        """Return the sitemaps to begin with; takes over what robots.txt asks of visitors."""
        parts = urlsplit(url)
        found = robots_txt.read(self.visit, f"{parts.scheme}://{parts.netloc}")
        self.reading.robots = found
        self.visit.delay_s = found.delay_s
        if parts.path.rstrip("/"):
            return (url,)
        self.reading.hosts |= {location.host_key(urlsplit(found.url))}
        return found.sitemaps or (f"{parts.scheme}://{parts.netloc}/sitemap.xml",)

    def _read_file(self, url: str, *, speaks_for_site: bool = False) -> Parsed:
        reading, before = self.reading, self.known.get(url)
        if before is not None and not bodies.is_kept(self.store, before.sha256):
            before = None
        left = self.visit.budget.bytes_left
        with self.visit.opened(url, before.known if before else None) as answer:
            if speaks_for_site:
                # A shop that sends us to its other name speaks for that one, too.
                reading.hosts |= {location.host_key(urlsplit(answer.url))}
            copy = reading.copy()
            plain = copy.of(self._plain(answer, before))
            parsed = reader.parse(plain, reading.keep, hosts=reading.hosts, now=reading.now)
        reading.copies[copy.sha256] = copy
        is_as_before = answer.status == 304 and before is not None
        etag, last_modified = (answer.headers.get(name) for name in ("etag", "last-modified"))
        reading.files.append(
            File(
                loc=url,
                url_count=parsed.url_count,
                sha256=copy.sha256,
                bytes_wire=left - self.visit.budget.bytes_left,
                bytes_plain=parsed.bytes_read,
                is_not_modified=is_as_before,
                etag=before.etag if is_as_before and before else etag,
                last_modified=before.last_modified if is_as_before and before else last_modified,
            )
        )
        reading.warnings.update(parsed.warnings)
        return parsed

    def _plain(self, answer: Answer, before: File | None) -> Iterator[bytes]:
        if answer.status == 304 and before is not None:
            return bodies.plain(self.store, before.sha256)
        return inflated(answer.chunks)


def _checked_children(children: list[str], url: str, hosts: frozenset[str]) -> list[str]:
    """Return the files an index names, once each; raises before any is fetched.

    A child that cannot be read would look like removed pages, so one bad child refuses the index.
    """
    unique = list(dict.fromkeys(children))
    if len(unique) > MAX_FILES:
        raise ContractBroken(f"sitemap: an index of more than {MAX_FILES} files")
    if url in unique:
        raise ContractBroken("sitemap: the index names itself")
    faults: Counter[str] = Counter()
    usable = [location.canonical(child, hosts, faults) for child in unique]
    if None in usable:
        raise PolicyRefused(
            f"sitemap: the index names files that are not fetched: {reader.told(faults)}"
        )
    return [child for child in usable if child is not None]
