"""Take a snapshot of a site's sitemap and store what changed since the last one."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.sources.sitemaps import fetch, policy, reader
from ocd.sources.sitemaps.reader import Entry

log = logging.getLogger(__name__)

SOURCE = "sources.sitemaps"
MAX_FILES = 50


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
    entries: dict[str, Entry]
    files: int = 0
    bytes_read: int = 0
    duplicates: int = 0


def snapshot(
    conn: Connection,
    *,
    site_url: str | None,
    allow_hosts: tuple[str, ...],
    now: datetime,
    run: Run,
    keeper: Keeper,
) -> SnapshotReport:
    """Read the sitemap with its children, then store snapshot, history and diff in one transaction.

    Raises PolicyRefused where it shrank so much that removals are not believed; nothing is stored then.
    """
    if site_url is None:
        raise ConfigError("no sitemap: set OCD_SITEMAP_URL to the shop's /sitemap.xml")
    site = urlsplit(site_url).netloc
    warnings: Counter[str] = Counter()
    found = _read_all(site_url, allow_hosts, run, warnings)
    previous_id, before = _current(conn, site)
    if policy.is_suspicious(len(before), len(found.entries)):
        raise PolicyRefused(
            f"sitemap of {site}: {len(found.entries):,} URLs where {len(before):,} stood; held, nothing counts as removed. "
            "Look at the sitemap; it is read again tomorrow"
        )
    diff = policy.compare(before, {loc: entry.fingerprint for loc, entry in found.entries.items()})
    lastmods = {entry.lastmod_raw for entry in found.entries.values()}
    is_uniform = len(found.entries) > 1 and len(lastmods) == 1 and lastmods != {None}
    first = previous_id is None
    with run.batch(conn) as batch:
        snapshot_id = _insert(
            conn, site, site_url, now, run, previous_id, found, diff, is_uniform, warnings
        )
        _store_history(conn, site, snapshot_id, found, diff)
        body = json.dumps(
            {"site": site, "snapshot": snapshot_id, "previous": previous_id, **asdict(diff)},
            indent=1,
        )
        keeper.put(
            conn,
            SOURCE,
            "sitemap-diff",
            f"sitemaps/{site.replace(':', '-')}-{now:%Y%m%dT%H%M%SZ}-run-{run.id}.json",
            body.encode(),
        )
        batch.progress(found.files, found.files, "files")
    log.info("sitemap_snapshot", extra={"site": site, "urls": len(found.entries)})
    return SnapshotReport(
        site,
        len(found.entries),
        found.files,
        added=None if first else len(diff.added),
        removed=None if first else len(diff.removed),
        changed=None if first else len(diff.changed),
        is_lastmod_uniform=is_uniform,
        warnings=dict(warnings),
    )


def _read_all(url: str, allow_hosts: tuple[str, ...], run: Run, warnings: Counter[str]) -> _Reading:
    reading = _Reading({})
    top = _read_one(url, allow_hosts, reading, warnings)
    host = urlsplit(url).netloc
    children = list(dict.fromkeys(top.children))
    if len(children) > MAX_FILES:
        raise ContractBroken(f"sitemap: an index of more than {MAX_FILES} files")
    for number, child in enumerate(children, 1):
        if urlsplit(child).netloc != host:
            raise PolicyRefused(
                "sitemap: the index names another host; a site speaks for itself only"
            )
        if child == url:
            raise ContractBroken("sitemap: the index names itself")
        if _read_one(child, allow_hosts, reading, warnings).is_index:
            raise ContractBroken("sitemap: an index within an index, which the protocol forbids")
        run.progress(number, len(children), "files")
    return reading


def _read_one(
    url: str, allow_hosts: tuple[str, ...], reading: _Reading, warnings: Counter[str]
) -> reader.Parsed:
    with fetch.opened(url, allow_hosts) as chunks:
        parsed = reader.read(chunks)
    reading.files += 1
    reading.bytes_read += parsed.bytes_read
    warnings.update(parsed.warnings)
    for entry in parsed.entries:
        # The first of two equal locations counts: order in the file, so that a rerun decides alike.
        if reading.entries.setdefault(entry.loc, entry) is not entry:
            reading.duplicates += 1
    return parsed


def _current(conn: Connection, site: str) -> tuple[int | None, dict[str, str]]:
    previous = conn.execute(
        text("select id from landing.sitemap_snapshot where site = :site order by id desc limit 1"),
        {"site": site},
    ).scalar()
    rows = conn.execute(
        text(
            "select loc, fingerprint from landing.sitemap_url where site = :site and gone_snapshot_id is null"
        ),
        {"site": site},
    )
    found = {row.loc: row.fingerprint for row in rows}
    conn.rollback()
    return previous, found


def _insert(
    conn: Connection,
    site: str,
    url: str,
    now: datetime,
    run: Run,
    previous_id: int | None,
    found: _Reading,
    diff: policy.Diff,
    is_uniform: bool,
    warnings: Counter[str],
) -> int:
    lines = sorted(f"{entry.loc} {entry.fingerprint}" for entry in found.entries.values())
    first = previous_id is None
    values: dict[str, Any] = {
        "site": site,
        "source_url": url,
        "taken_at": now,
        "run_id": run.id,
        "previous_id": previous_id,
        "file_count": found.files,
        "url_count": len(found.entries),
        "duplicate_count": found.duplicates,
        "bytes_read": found.bytes_read,
        "content_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "is_lastmod_uniform": is_uniform,
        "warnings": json.dumps(dict(warnings)),
        "added": None if first else len(diff.added),
        "removed": None if first else len(diff.removed),
        "changed": None if first else len(diff.changed),
    }
    return int(
        conn.execute(
            text("""
            insert into landing.sitemap_snapshot
              (site, source_url, taken_at, run_id, previous_id, file_count, url_count, duplicate_count, bytes_read,
               content_sha256, is_lastmod_uniform, warnings, added_count, removed_count, changed_count)
            values (:site, :source_url, :taken_at, :run_id, :previous_id, :file_count, :url_count, :duplicate_count, :bytes_read,
                    :content_sha256, :is_lastmod_uniform, cast(:warnings as jsonb), :added, :removed, :changed)
            returning id
        """),
            values,
        ).scalar_one()
    )


def _store_history(
    conn: Connection, site: str, snapshot_id: int, found: _Reading, diff: policy.Diff
) -> None:
    """Close the versions that no longer stand, open new ones; refresh lastmod of the ones that stay."""
    conn.execute(
        text("""
            update landing.sitemap_url set gone_snapshot_id = :snapshot
            where site = :site and gone_snapshot_id is null and loc = any(:locs)
        """),
        {"snapshot": snapshot_id, "site": site, "locs": [*diff.removed, *diff.changed]},
    )
    new = [found.entries[loc] for loc in (*diff.added, *diff.changed)]
    if new:
        conn.execute(
            text("""
                insert into landing.sitemap_url (site, loc, fingerprint, lastmod_raw, lastmod_at, first_snapshot_id)
                values (:site, :loc, :fingerprint, :lastmod_raw, :lastmod_at, :snapshot)
            """),
            [
                {
                    "site": site,
                    "loc": entry.loc,
                    "fingerprint": entry.fingerprint,
                    "lastmod_raw": entry.lastmod_raw,
                    "lastmod_at": entry.lastmod_at,
                    "snapshot": snapshot_id,
                }
                for entry in new
            ],
        )
