"""Read what lies in the store again, so that rot is found while another copy is still there."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken
from ocd.core.signing import SigningKeys
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.ledger.run import Run
from ocd.lifecycle import copying, manifest

log = logging.getLogger(__name__)

_LEAST_READ = statement(__file__, "list_least_read.sql")
_SPOIL = statement(__file__, "spoil_verification.sql")
#: What is younger was just read by its verification or its purge.
MIN_AGE = timedelta(days=1)


@dataclass(frozen=True)
class RereadReport:
    """What was read to its end and found whole."""

    version: ClassVar[int] = 1
    files: int
    read_bytes: int

    @property
    def rows(self) -> int:
        """Files read."""
        return self.files

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.files:,} files whole, {self.read_bytes / 1e6:.1f} MB read again"


def reread(
    conn: Connection,
    *,
    run: Run,
    store: Store,
    keys: SigningKeys,
    budget_bytes: int,
    now: datetime,
) -> RereadReport:
    """Read files to their end, the longest unread first, until `budget_bytes` are read. Commits after each.

    At the end raises ContractBroken where some are damaged; a backup with such a part counts as unproved.
    """
    files = read_bytes = 0
    damaged: list[str] = []
    for row in _chosen(conn, budget_bytes, now):
        damage = _damage(store, row, keys)
        with run.batch(conn) as batch:
            _note(conn, run, row, damage)
            batch.progress(files, None, "files read")
        read_bytes += row.size_bytes
        files += damage is None
        damaged += [] if damage is None else [damage]
    if damaged:
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        raise ContractBroken(
            f"{len(damaged)} stored files are damaged: {'; '.join(damaged[:5])}{more}"
        )
    log.info("reread", extra={"files": files, "bytes": read_bytes})
    return RereadReport(files, read_bytes)


def _chosen(conn: Connection, budget_bytes: int, now: datetime) -> Iterator[Any]:
    rows = conn.execute(_LEAST_READ, {"before": now - MIN_AGE}).all()
    conn.rollback()
    left = budget_bytes
    for row in rows:
        if left <= 0:
            return
        left -= row.size_bytes
        yield row


def _damage(store: Store, row: Any, keys: SigningKeys) -> str | None:
    """Return what is wrong with a file, None where it is whole."""
    try:
        if row.kind == "backup-manifest":
            manifest.read(store, row.name, keys, sha256=row.sha256)
        elif row.kind == "archive-manifest":
            _read_stored(store, row)
        else:
            for _ in copying.read_back(store, row.name, stored_sha256=row.sha256):
                pass
    except ContractBroken as error:
        return error.message
    return None


def _read_stored(store: Store, row: Any) -> None:
    if store.size(row.name) is None:
        raise ContractBroken(f"{row.name}: missing")
    digest = hashlib.sha256()
    for block in store.open_stored(row.name):
        digest.update(block)
    if digest.hexdigest() != row.sha256:
        raise ContractBroken(f"{row.name}: damaged: the stored bytes changed")


def _note(conn: Connection, run: Run, row: Any, damage: str | None) -> None:
    if damage is None:
        conn.execute(
            text("update ocd.artifact set reread_at = clock_timestamp() where id = :id"),
            {"id": row.id},
        )
        return
    # A part spoils its table's proof, a manifest that of every table; an archive proves nothing.
    conn.execute(_SPOIL, {"run_id": run.id, "name": row.name, "reason": damage})
