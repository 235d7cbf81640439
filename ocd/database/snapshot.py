"""Keep the schema of a day as a file, and say what changed since the one before."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection, text

from ocd.core.store import Store
from ocd.database import catalog
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run

log = logging.getLogger(__name__)

SOURCE = "database.snapshot_schema"
KIND = "schema-snapshot"
#: Changed lines that the ledger's row keeps; both files have all.
EVIDENCE_LINES = 40


@dataclass(frozen=True)
class SnapshotReport:
    """The file with its hash, and what differs from the last one; no last one: nothing differs."""

    version: ClassVar[int] = 1
    artifact: str
    sha256: str
    lines: int
    previous: str | None
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Lines of the schema."""
        return self.lines

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.previous is None:
            return f"{self.lines} lines, first snapshot"
        return f"{self.lines} lines, {len(self.added)} added and {len(self.removed)} gone since the last"


def snapshot(
    conn: Connection, *, run: Run, store: Store, keeper: Keeper, now: datetime
) -> SnapshotReport:
    """Write `schemas/schema-<instant>.txt` and compare it with the newest one before. Commits once."""
    previous = _previous(conn, store)
    found = catalog.lines(conn)
    conn.rollback()
    before = _read(store, previous) if previous else found
    name = f"schemas/schema-{now:%Y%m%dT%H%M%SZ}-run-{run.id}-f{run.fence}.txt"
    with run.batch(conn) as batch:
        stored = keeper.put(conn, SOURCE, KIND, name, ("\n".join(found) + "\n").encode())
        batch.progress(len(found), len(found), "lines")
    log.info("schema_snapshot", extra={"lines": len(found), "artifact": name})
    return SnapshotReport(
        artifact=stored.name,
        sha256=stored.sha256,
        lines=len(found),
        previous=previous,
        added=tuple(sorted(set(found) - set(before)))[:EVIDENCE_LINES],
        removed=tuple(sorted(set(before) - set(found)))[:EVIDENCE_LINES],
    )


def _previous(conn: Connection, store: Store) -> str | None:
    """Return the newest snapshot that is still there."""
    names = conn.execute(
        text("""
            select name from ocd.artifact where kind = :kind and removed_at is null
            order by created_at desc, id desc
        """),
        {"kind": KIND},
    ).scalars()
    return next((name for name in names if store.size(name) is not None), None)


def _read(store: Store, name: str) -> list[str]:
    return b"".join(store.open(name)).decode().splitlines()
