"""Take a snapshot of a site's sitemap and store what changed since the last one."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.errors import ApprovalNeeded, ConfigError, SourceUnavailable
from ocd.core.sqlfiles import statement
from ocd.ledger import approvals
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.sources.sitemaps import history, policy, report
from ocd.sources.sitemaps.fetch import Visit
from ocd.sources.sitemaps.history import Standing
from ocd.sources.sitemaps.pages import Verdict
from ocd.sources.sitemaps.policy import Diff, Doubt
from ocd.sources.sitemaps.sample import Sampled, sample
from ocd.sources.sitemaps.site import Reading, read_site, site_of, urls_per_file

log = logging.getLogger(__name__)

SOURCE = "sources.sitemap"
_INSERT_SNAPSHOT = statement(__file__, "insert_snapshot.sql")
_INSERT_FILE = statement(__file__, "insert_file.sql")
_INSERT_HELD = statement(__file__, "insert_held.sql")
_CLOSE_VERSIONS = statement(__file__, "close_versions.sql")
_INSERT_VERSION = statement(__file__, "insert_version.sql")


@dataclass(frozen=True)
class SnapshotReport:
    """What the sitemap held and what changed; None where it is the first snapshot.

    `doubt` is why it would be held; a real run has one only where a person approved it.
    """

    version: ClassVar[int] = 2
    site: str
    rows: int
    files: int
    not_modified: int
    added: int | None
    removed: int | None
    content_changed: int | None
    lastmod_only: int | None
    is_lastmod_uniform: bool
    sampled: dict[str, int]
    warnings: dict[str, int]
    doubt: str | None

    @property
    def summary(self) -> str:
        """One line for people."""
        said = f"{self.rows:,} URLs in {self.files} files"
        if self.added is None:
            said += ", first snapshot"
        else:
            said += f": {self.added} added, {self.removed} removed, {self.content_changed} changed"
        missing = self.sampled.get(Verdict.GONE, 0) + self.sampled.get(Verdict.SOFT_404, 0)
        if missing:
            said += f"; {missing} of {sum(self.sampled.values())} sampled pages not there"
        return f"{said}; doubted: {self.doubt}" if self.doubt else said


@dataclass(frozen=True)
class _Compared:
    """A reading beside what stands."""

    site: str
    url: str
    found: Reading
    standing: Standing
    diff: Diff
    doubt: Doubt | None


def snapshot(
    conn: Connection,
    *,
    site_url: str | None,
    allow_hosts: tuple[str, ...],
    sample_pages: int,
    now: datetime,
    run: Run,
    keeper: Keeper,
    dry_run: bool = False,
) -> SnapshotReport:
    """Read the sitemap with its files, then store snapshot, history and diff in one transaction.

    Commits once, or nothing. Raises ApprovalNeeded where it changed so much that it is not believed:
    then it is noted as held, and nothing counts as added or removed.
    """
    if site_url is None:
        raise ConfigError("no sitemap: set OCD_SITEMAP_URL to the shop's address or its sitemap's")
    site = site_of(site_url)
    standing = history.standing(conn, site)
    conn.rollback()  # reading a site takes minutes; no transaction waits for it
    known = {one.loc: one for one in standing.files}
    with (
        Visit(allow_hosts, now) as visit,
        read_site(
            site_url, visit=visit, store=keeper.store, known=known, progress=run.progress
        ) as found,
    ):
        compared = _compare(site, site_url, found, standing, keeper)
        if compared.doubt and not dry_run:
            _ask(conn, compared, run, keeper)
        sampled = sample(visit, found.robots, found.entries, count=sample_pages)
        made = _report(compared, sampled)
        if not dry_run:
            _store(conn, compared, made, sampled, run, keeper)
    log.info("sitemap_snapshot", extra={"site": site, "rows": made.rows, "files": made.files})
    return made


def _compare(site: str, url: str, found: Reading, standing: Standing, keeper: Keeper) -> _Compared:
    diff = policy.compare(standing.urls, found.fingerprints())
    changed = frozenset((*diff.added, *diff.content_changed))
    told = history.lastmod_only(
        keeper.store,
        standing.files,
        {loc: entry for loc, entry in found.entries.items() if loc not in changed},
        found.hosts,
        unchanged=frozenset(found.copies),
    )
    doubt = policy.doubt(
        standing.urls,
        found.entries,
        diff,
        files_before=urls_per_file(standing.files),
        files_after=found.urls_per_file(),
    )
    return _Compared(site, url, found, standing, replace(diff, lastmod_only=told), doubt)


def _ask(conn: Connection, compared: _Compared, run: Run, keeper: Keeper) -> None:
    """Return where a person approved this very set of pages; else hold it and raise ApprovalNeeded."""
    doubt = compared.doubt
    assert doubt is not None, "only doubts are asked about"  # noqa: S101
    try:
        approvals.require(
            conn,
            run,
            fingerprint=doubt.fingerprint,
            asks=doubt.asks,
            question=f"sitemap of {compared.site}: {doubt.reason}; held, nothing counts as added or removed",
        )
    except ApprovalNeeded:
        _hold(conn, compared, doubt, run, keeper)
        raise


def _hold(conn: Connection, compared: _Compared, doubt: Doubt, run: Run, keeper: Keeper) -> None:
    with run.batch(conn):
        conn.execute(
            _INSERT_HELD,
            {
                "site": compared.site,
                "taken_at": compared.found.now,
                "run_id": run.id,
                "standing_id": compared.standing.id,
                "url_count": len(compared.found.entries),
                "added": doubt.added,
                "removed": doubt.removed,
                "reason": doubt.reason,
            },
        )
        _keep_copies(conn, compared.found, keeper)
        _keep_pages(conn, compared, keeper, suffix="-held")


def _store(
    conn: Connection,
    compared: _Compared,
    made: SnapshotReport,
    sampled: tuple[Sampled, ...],
    run: Run,
    keeper: Keeper,
) -> None:
    with run.batch(conn) as batch:
        # Two readings of one site at once would both compare with the same predecessor.
        conn.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:site, 0))"),
            {"site": compared.site},
        )
        if history.newest_id(conn, compared.site) != compared.standing.id:
            raise SourceUnavailable(f"sitemap of {compared.site}: read by another run meanwhile")
        snapshot_id = _insert(conn, compared, made, run)
        _store_history(conn, compared, snapshot_id)
        _store_parts(conn, compared.found, sampled, snapshot_id)
        _keep_copies(conn, compared.found, keeper)
        _keep_pages(conn, compared, keeper)
        batch.progress(made.files, made.files, "files")
        batch.report = made


def _report(compared: _Compared, sampled: tuple[Sampled, ...]) -> SnapshotReport:
    found, diff = compared.found, compared.diff
    is_first = compared.standing.id is None
    return SnapshotReport(
        site=compared.site,
        rows=len(found.entries),
        files=len(found.files),
        not_modified=sum(one.is_not_modified for one in found.files),
        added=None if is_first else len(diff.added),
        removed=None if is_first else len(diff.removed),
        content_changed=None if is_first else len(diff.content_changed),
        lastmod_only=None if diff.lastmod_only is None else len(diff.lastmod_only),
        is_lastmod_uniform=found.is_lastmod_uniform,
        sampled=dict(Counter(one.verdict.value for one in sampled)),
        warnings=dict(found.warnings),
        doubt=compared.doubt.reason if compared.doubt else None,
    )


def _insert(conn: Connection, compared: _Compared, made: SnapshotReport, run: Run) -> int:
    found = compared.found
    values: dict[str, Any] = asdict(made) | {
        "source_url": compared.url,
        "taken_at": found.now,
        "run_id": run.id,
        "previous_id": compared.standing.id,
        "file_count": made.files,
        "url_count": made.rows,
        "duplicate_count": found.duplicates,
        "bytes_read": sum(one.bytes_plain for one in found.files),
        "content_sha256": _content_sha256(found),
        "soft_404": made.sampled.get(Verdict.SOFT_404, 0),
        "warnings": json.dumps(made.warnings),
        "hosts": sorted(found.hosts),
    }
    return int(conn.execute(_INSERT_SNAPSHOT, values).scalar_one())


def _content_sha256(found: Reading) -> str:
    """Return one hash of the whole content, whatever the order of files and URLs."""
    content = hashlib.sha256()
    for loc in sorted(found.entries):
        content.update(f"{loc} {found.entries[loc].fingerprint}\n".encode())
    return content.hexdigest()


def _store_history(conn: Connection, compared: _Compared, snapshot_id: int) -> None:
    """Close the versions that no longer stand, then open new ones; unchanged URLs are not touched."""
    site, diff = compared.site, compared.diff
    gone = [*diff.removed, *diff.content_changed]
    if gone:
        conn.execute(_CLOSE_VERSIONS, {"snapshot": snapshot_id, "site": site, "locs": gone})
    new = [
        compared.found.entries[loc]._asdict() | {"site": site, "snapshot": snapshot_id}
        for loc in (*diff.added, *diff.content_changed)
    ]
    if new:
        conn.execute(_INSERT_VERSION, new)


def _store_parts(
    conn: Connection, found: Reading, sampled: tuple[Sampled, ...], snapshot_id: int
) -> None:
    conn.execute(
        _INSERT_FILE,
        [asdict(one) | {"snapshot": snapshot_id, "path_key": one.path_key} for one in found.files],
    )
    if sampled:
        conn.execute(
            text("""
                insert into landing.sitemap_page (snapshot_id, loc, verdict, http_status, reason)
                values (:snapshot, :loc, :verdict, :http_status, :reason)
            """),
            [asdict(one) | {"snapshot": snapshot_id} for one in sampled],
        )


def _keep_copies(conn: Connection, found: Reading, keeper: Keeper) -> None:
    """Keep what was sent; a body that is kept already is written again, so that it lasts as long."""
    for copy in found.copies.values():
        keeper.index(conn, SOURCE, "sitemap-body", copy.put(keeper.store))


def _keep_pages(conn: Connection, compared: _Compared, keeper: Keeper, *, suffix: str = "") -> None:
    """Keep the difference for machines, and the series so far for people."""
    site = re.sub(r"[^A-Za-z0-9.-]+", "-", compared.site)
    name = f"sitemaps/{site}-{compared.found.now:%Y%m%dT%H%M%SZ}{suffix}"
    body = {
        "site": compared.site,
        "previous": compared.standing.id,
        "doubt": compared.doubt.reason if compared.doubt else None,
        **asdict(compared.diff),
    }
    keeper.put(conn, SOURCE, "sitemap-diff", f"{name}.json", json.dumps(body, indent=1).encode())
    series = history.readings(conn, site=compared.site)
    page = report.page(compared.site, series, diff=compared.diff, now=compared.found.now)
    keeper.put(conn, SOURCE, "sitemap-report", f"{name}.html", page)
