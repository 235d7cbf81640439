"""Take a snapshot of a site's sitemap and store what changed since the last one."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.sources.sitemaps import fetch, location, policy, reader
from ocd.sources.sitemaps.reader import Entry

log = logging.getLogger(__name__)

SOURCE = "sources.sitemap"
MAX_FILES = 50
#: Twice a shop of 125,000 products; all locations stand in memory once.
MAX_SITE_URLS = 250_000
_INSERT_SNAPSHOT = statement(__file__, "insert_snapshot.sql")
_CLOSE_VERSIONS = statement(__file__, "close_versions.sql")
_INSERT_VERSION = statement(__file__, "insert_version.sql")


@dataclass(frozen=True)
class SnapshotReport:
    """What the sitemap held and what changed; None where it is the first snapshot."""

    version: ClassVar[int] = 1
    site: str
    rows: int
    files: int
    added: int | None
    removed: int | None
    changed: int | None
    is_lastmod_uniform: bool
    warnings: dict[str, int]

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.added is None:
            return f"{self.rows:,} URLs in {self.files} files, first snapshot"
        return f"{self.rows:,} URLs in {self.files} files: {self.added} added, {self.removed} removed, {self.changed} changed"


@dataclass
class _Reading:
    """All files of one site, read."""

    hosts: frozenset[str]
    now: datetime
    entries: dict[str, Entry] = field(default_factory=dict)
    files: int = 0
    bytes_read: int = 0
    duplicates: int = 0
    warnings: Counter[str] = field(default_factory=Counter)

    def keep(self, entry: Entry) -> None:
        # The first of two equal locations counts: order in the file, so that a rerun decides alike.
        if self.entries.setdefault(entry.loc, entry) is not entry:
            self.duplicates += 1
        elif len(self.entries) > MAX_SITE_URLS:
            raise ContractBroken(f"sitemap: more than {MAX_SITE_URLS:,} URLs on one site")

    def fingerprints(self) -> dict[str, str]:
        return {loc: entry.fingerprint for loc, entry in self.entries.items()}


def snapshot(
    conn: Connection,
    *,
    site_url: str | None,
    allow_hosts: tuple[str, ...],
    now: datetime,
    run: Run,
    keeper: Keeper,
    accept_shrink: bool = False,
) -> SnapshotReport:
    """Read the sitemap with its children, then store snapshot, history and diff in one transaction.

    Commits once, or nothing. Raises PolicyRefused where it shrank so much that removals are not
    believed, unless `accept_shrink` says that a person looked.
    """
    if site_url is None:
        raise ConfigError("no sitemap: set OCD_SITEMAP_URL to the shop's /sitemap.xml")
    site = _site(site_url)
    found = _read_site(site_url, allow_hosts, now, run)
    with run.batch(conn) as batch:
        # Two readings of one site at once would both compare with the same predecessor.
        conn.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:site, 0))"), {"site": site}
        )
        previous_id, before = _standing(conn, site)
        if policy.has_shrunk(len(before), len(found.entries)) and not accept_shrink:
            raise PolicyRefused(
                f"sitemap of {site}: {len(found.entries):,} URLs where {len(before):,} stood; held, nothing counts "
                "as removed (docs/how-to/snapshot-sitemap.md)"
            )
        diff = policy.compare(before, found.fingerprints())
        report = _report(site, found, diff, is_first=previous_id is None)
        snapshot_id = _insert(conn, report, found, site_url, run, previous_id)
        _store_history(conn, site, snapshot_id, found, diff)
        _keep_diff(conn, keeper, site, now, snapshot_id, previous_id, diff)
        batch.progress(found.files, found.files, "files")
    log.info("sitemap_snapshot", extra={"site": site, "rows": report.rows, "files": report.files})
    return report


def _site(url: str) -> str:
    """Return what the history is kept under: host, with its port where it is not the usual one."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in location.DEFAULT_PORTS or "@" in parts.netloc:
        raise ConfigError(
            "OCD_SITEMAP_URL: expected http(s)://host/sitemap.xml, without credentials"
        )
    return host if port in {None, location.DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"


def _read_site(url: str, allow_hosts: tuple[str, ...], now: datetime, run: Run) -> _Reading:
    budget = fetch.Budget()
    reading = _Reading(frozenset({location.host_key(urlsplit(url))}), now)
    top = _read_file(url, allow_hosts, reading, budget, is_top=True)
    children = _checked_children(top.children, url, reading.hosts)
    for number, child in enumerate(children, 1):
        if _read_file(child, allow_hosts, reading, budget).is_index:
            raise ContractBroken("sitemap: an index within an index, which the protocol forbids")
        run.progress(number, len(children), "files")
    if not reading.entries:
        raise ContractBroken("sitemap: no URL at all; a shop without pages is not believed")
    return reading


def _read_file(
    url: str,
    allow_hosts: tuple[str, ...],
    reading: _Reading,
    budget: fetch.Budget,
    *,
    is_top: bool = False,
) -> reader.Parsed:
    with fetch.opened(url, allow_hosts, budget) as body:
        if is_top:
            # A shop that sends us to its other name speaks for that one, too.
            reading.hosts |= {location.host_key(urlsplit(body.url))}
        parsed = reader.read(body.chunks, reading.keep, hosts=reading.hosts, now=reading.now)
    reading.files += 1
    reading.bytes_read += parsed.bytes_read
    reading.warnings.update(parsed.warnings)
    return parsed


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


def _standing(conn: Connection, site: str) -> tuple[int | None, dict[str, str]]:
    """Return the newest snapshot and {URL: fingerprint} as it stands."""
    previous = conn.execute(
        text("select max(id) from landing.sitemap_snapshot where site = :site"), {"site": site}
    ).scalar()
    rows = conn.execute(
        text("""
            select loc, fingerprint from landing.sitemap_url
            where site = :site and gone_snapshot_id is null
        """),
        {"site": site},
    )
    return previous, {row.loc: row.fingerprint for row in rows}


def _report(site: str, found: _Reading, diff: policy.Diff, *, is_first: bool) -> SnapshotReport:
    return SnapshotReport(
        site,
        len(found.entries),
        found.files,
        None if is_first else len(diff.added),
        None if is_first else len(diff.removed),
        None if is_first else len(diff.changed),
        policy.is_lastmod_uniform(entry.lastmod_raw for entry in found.entries.values()),
        dict(found.warnings),
    )


def _insert(
    conn: Connection,
    report: SnapshotReport,
    found: _Reading,
    url: str,
    run: Run,
    previous_id: int | None,
) -> int:
    values: dict[str, Any] = asdict(report) | {
        "source_url": url,
        "taken_at": found.now,
        "run_id": run.id,
        "previous_id": previous_id,
        "file_count": found.files,
        "url_count": len(found.entries),
        "duplicate_count": found.duplicates,
        "bytes_read": found.bytes_read,
        "content_sha256": _content_sha256(found),
        "warnings": json.dumps(report.warnings),
    }
    return int(conn.execute(_INSERT_SNAPSHOT, values).scalar_one())


def _content_sha256(found: _Reading) -> str:
    """Return one hash of the whole content, whatever the order of files and URLs."""
    content = hashlib.sha256()
    for loc in sorted(found.entries):
        content.update(f"{loc} {found.entries[loc].fingerprint}\n".encode())
    return content.hexdigest()


def _store_history(
    conn: Connection, site: str, snapshot_id: int, found: _Reading, diff: policy.Diff
) -> None:
    """Close the versions that no longer stand, then open new ones; unchanged URLs are not touched."""
    gone = [*diff.removed, *diff.changed]
    if gone:
        conn.execute(_CLOSE_VERSIONS, {"snapshot": snapshot_id, "site": site, "locs": gone})
    new = [
        asdict(found.entries[loc]) | {"site": site, "snapshot": snapshot_id}
        for loc in (*diff.added, *diff.changed)
    ]
    if new:
        conn.execute(_INSERT_VERSION, new)


def _keep_diff(
    conn: Connection,
    keeper: Keeper,
    site: str,
    now: datetime,
    snapshot_id: int,
    previous_id: int | None,
    diff: policy.Diff,
) -> None:
    body = {"site": site, "snapshot": snapshot_id, "previous": previous_id, **asdict(diff)}
    name = f"sitemaps/{re.sub(r'[^A-Za-z0-9.-]+', '-', site)}-{now:%Y%m%dT%H%M%SZ}.json"
    keeper.put(conn, SOURCE, "sitemap-diff", name, json.dumps(body, indent=1).encode())
