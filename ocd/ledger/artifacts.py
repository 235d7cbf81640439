"""The index of artifacts: which run wrote which file, and when it expires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.store import Store, Stored


@dataclass(frozen=True)
class Keeper:
    """Keeps artifacts of one run: the store, the run, and how long they live."""

    store: Store
    run_id: int
    now: datetime
    keep: timedelta

    def put(self, conn: Connection, source: str, kind: str, name: str, content: bytes) -> Stored:
        """Store a small artifact and index it in the transaction of `conn`; the caller commits."""
        stored = self.store.put(name, content)
        self.index(conn, source, kind, stored)
        return stored

    def index(self, conn: Connection, source: str, kind: str, stored: Stored) -> None:
        """Index what was stored; one row per name, the newest wins. The caller commits."""
        conn.execute(
            text("""
                insert into ocd.artifact (run_id, source, kind, name, sha256, size_bytes, expires_at)
                values (:run_id, :source, :kind, :name, :sha256, :size_bytes, :expires_at)
                on conflict (name) do update set run_id = excluded.run_id, sha256 = excluded.sha256,
                  size_bytes = excluded.size_bytes, expires_at = excluded.expires_at, removed_at = null, deleted_at = null, reread_at = null
            """),
            {
                "run_id": self.run_id,
                "source": source,
                "kind": kind,
                "name": stored.name,
                "sha256": stored.sha256,
                "size_bytes": stored.size_bytes,
                "expires_at": self.now + self.keep,
            },
        )


def of_run(conn: Connection, run_id: int) -> list[dict[str, Any]]:
    """Return the artifacts of a run: name, kind, sha256, size_bytes, expires_at; ordered by name."""
    rows = conn.execute(
        text("""
            select name, kind, sha256, size_bytes, expires_at
            from ocd.artifact where run_id = :run_id and removed_at is null order by name
        """),
        {"run_id": run_id},
    )
    return [dict(row) for row in rows.mappings()]
