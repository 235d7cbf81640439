"""Remove what is past its time: backups by rotation, archives and other files by their expiry, and orphans.

Each removal is marked in the ledger first, then its bytes are deleted, then that is noted: whoever dies in
between leaves nothing that looks kept, and the next rotation goes on.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.sqlfiles import statement
from ocd.core.store import Listed, Store
from ocd.ledger.run import Run
from ocd.lifecycle.rotation_policy import Keep, Kept, reasons_to_keep

log = logging.getLogger(__name__)

_BACKUPS = statement(__file__, "list_backups.sql")
_LEANED = statement(__file__, "list_leaned_backups.sql")
_EXPIRED = statement(__file__, "list_expired.sql")
#: Rows marked in one transaction.
PAGE = 200
#: Names of removed backups that a report lists.
SHOWN_BACKUPS = 50
#: An object without a row that is younger may belong to a run that is at work.
ORPHAN_AGE = timedelta(days=1)
#: What a run of ours writes rows to; anything else below our prefix is none of our business.
_WRITTEN = re.compile(
    r"(backups|archives/[^/]+)/(?P<window>[^/]+)/run-(?P<run>\d{1,18})-g\d+(-f\d+|\.)"
)
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class RotationReport:
    """What was removed, or would be, and why the backups that stay do."""

    version: ClassVar[int] = 1
    is_dry: bool
    backups_kept: dict[str, int]  # reason → backups; one may have several
    backups_removed: tuple[str, ...]
    files_removed: int
    orphans_removed: int
    bytes_freed: int

    @property
    def rows(self) -> int:
        """Files removed."""
        return self.files_removed + self.orphans_removed

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would be removed" if self.is_dry else "removed"
        return (
            f"{len(self.backups_removed)} backups, {self.files_removed:,} files and {self.orphans_removed:,} orphans"
            f" {verb}, {self.bytes_freed / 1e6:.1f} MB"
        )


@dataclass(frozen=True)
class Rotation:
    """How many backups stay, and for how long a purge's backup does whatever rotation says."""

    keep: Keep
    hold: timedelta


@dataclass
class _Tally:
    """What was removed so far; stands in the run's checkpoint, so that whoever goes on tells all of it."""

    backups: list[str] = field(default_factory=list)
    files: int = 0
    orphans: int = 0
    bytes: int = 0


def list_backups(conn: Connection) -> list[dict[str, Any]]:
    """Return the backups that lie in the store, newest first; see `sql/list_backups.sql`."""
    return [dict(row) for row in conn.execute(_BACKUPS).mappings()]


def reasons(conn: Connection, rotation: Rotation, now: datetime) -> dict[int, tuple[str, ...]]:
    """Return backup id → why it stays; one without a reason is removed by the next rotation."""
    backups = [
        Kept(one["id"], one["taken_at"], bool(one["is_equal"]), one["expires_at"])
        for one in list_backups(conn)
    ]
    leaned_on = set(conn.execute(_LEANED, {"since": now - rotation.hold}).scalars())
    # A backup holds rows of every dataset, so any hold holds it.
    is_held = conn.execute(
        text("select exists (select 1 from ocd.legal_hold where released_at is null)")
    ).scalar_one()
    return reasons_to_keep(
        backups, rotation.keep, now=now, leaned_on=leaned_on, is_held=bool(is_held)
    )


def plan(conn: Connection, *, store: Store, rotation: Rotation, now: datetime) -> RotationReport:
    """Return what a rotation would remove now. Changes nothing."""
    stays = reasons(conn, rotation, now)
    gone = [one["manifest"] for one in list_backups(conn) if one["id"] not in stays]
    tally = _Tally(gone)
    files = {row.id: row.size_bytes for name in gone for row in _files_of(conn, name)}
    for page in _expired(conn, now):
        files |= {row.id: row.size_bytes for row in page}
    tally.files, tally.bytes = len(files), sum(files.values())
    for orphan in _orphans(conn, store, now):
        tally.orphans += 1
        tally.bytes += orphan.size_bytes
    conn.rollback()
    return _report(tally, stays, is_dry=True)


def rotate(
    conn: Connection, *, run: Run, store: Store, rotation: Rotation, now: datetime
) -> RotationReport:
    """Remove what is past its time. Commits every page; a lost lease rolls the page back."""
    tally = _Tally(**(run.checkpoint or {}))
    # What an earlier run had marked is not this one's; what an earlier attempt had is.
    _delete_marked(conn, run, store, tally if run.checkpoint else None)
    orphans = list(_orphans(conn, store, now))
    stays = reasons(conn, rotation, now)
    candidates = [one for one in list_backups(conn) if one["id"] not in stays]
    for number, one in enumerate(candidates, start=1):
        with run.batch(conn) as batch:
            # Looked at again: a hold or a purge may have come meanwhile.
            if one["id"] not in reasons(conn, rotation, now):
                _mark(conn, [row.id for row in _files_of(conn, one["manifest"])])
                tally.backups.append(one["manifest"])
            batch.progress(number, len(candidates), "backups")
            batch.checkpoint = asdict(tally)
        _delete_marked(conn, run, store, tally)
    for page in _expired(conn, now):
        with run.batch(conn) as batch:
            _mark(conn, [row.id for row in page])
            batch.checkpoint = asdict(tally)
        _delete_marked(conn, run, store, tally)
    for orphan in orphans:
        run.check()
        store.delete(orphan.name)
        tally.orphans += 1
        tally.bytes += orphan.size_bytes
    with run.batch(conn) as batch:
        report = _report(tally, reasons(conn, rotation, now), is_dry=False)
        batch.report = report
    log.info(
        "rotated",
        extra={"backups": len(tally.backups), "files": tally.files, "orphans": tally.orphans},
    )
    return report


def _report(tally: _Tally, stays: dict[int, tuple[str, ...]], *, is_dry: bool) -> RotationReport:
    return RotationReport(
        is_dry,
        dict(sorted(Counter(reason for found in stays.values() for reason in found).items())),
        tuple(tally.backups[:SHOWN_BACKUPS]),
        tally.files,
        tally.orphans,
        tally.bytes,
    )


def _files_of(conn: Connection, manifest: str) -> list[Any]:
    """Return id, name, size_bytes of everything in a backup's folder that is not removed."""
    return list(
        conn.execute(
            text("""
                select id, name, size_bytes from ocd.artifact
                where run_id is not null and starts_with(name, :folder) and removed_at is null order by id
            """),
            {"folder": manifest.removesuffix(_MANIFEST)},
        )
    )


def _expired(conn: Connection, now: datetime) -> Iterator[list[Any]]:
    after = 0
    while page := conn.execute(_EXPIRED, {"now": now, "after": after, "size": PAGE}).all():
        yield list(page)
        after = page[-1].id


def _mark(conn: Connection, ids: list[int]) -> None:
    conn.execute(
        text(
            "update ocd.artifact set removed_at = clock_timestamp() where id = any(:ids) and removed_at is null"
        ),
        {"ids": ids},
    )


def _delete_marked(conn: Connection, run: Run, store: Store, tally: _Tally | None) -> None:
    """Delete the bytes of everything marked, manifests first, and note it."""
    while rows := conn.execute(
        text("""
            select id, name, size_bytes from ocd.artifact where removed_at is not null and deleted_at is null
            order by name not like '%/manifest.json', id limit :size
        """),
        {"size": PAGE},
    ).all():
        for row in rows:
            store.delete(row.name)
        if tally is not None:
            tally.files += len(rows)
            tally.bytes += sum(row.size_bytes for row in rows)
        with run.batch(conn) as batch:
            conn.execute(
                text("update ocd.artifact set deleted_at = clock_timestamp() where id = any(:ids)"),
                {"ids": [row.id for row in rows]},
            )
            batch.checkpoint = asdict(tally) if tally else None


def _orphans(conn: Connection, store: Store, now: datetime) -> Iterator[Listed]:
    """Yield what runs of this ledger wrote and did not record, older than a day.

    What another ledger wrote, or somebody put there, is never touched: after a disaster a new, empty ledger
    must not take the old one's backups for orphans.
    """
    for folder in ("backups", "archives"):
        old = (one for one in store.listing(folder) if now - one.modified_at > ORPHAN_AGE)
        while page := list(islice(old, PAGE)):
            known = set(
                conn.execute(
                    text("select name from ocd.artifact where name = any(:names)"),
                    {"names": [one.name for one in page]},
                ).scalars()
            )
            yield from (
                one for one in page if one.name not in known and _is_of_a_run(conn, one.name)
            )


def _is_of_a_run(conn: Connection, name: str) -> bool:
    found = _WRITTEN.match(name)
    if found is None:
        return False
    return bool(
        conn.execute(
            text("""
                select exists (select 1 from ocd.run where id = :id and window_label = :window
                               and job in ('lifecycle.backup', 'lifecycle.purge')
                               and state not in ('queued', 'running', 'waiting'))
            """),
            {"id": int(found["run"]), "window": found["window"]},
        ).scalar_one()
    )
