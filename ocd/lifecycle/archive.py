"""Archives of deleted rows: one object per batch, read back before the commit, sealed by a manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import copying
from ocd.lifecycle.policy import PurgePlan
from ocd.lifecycle.rows import Keys

SOURCE = "lifecycle.purge"
MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Archive:
    """Where the deleted rows of one run go."""

    dataset: Dataset
    run: Run
    store: Store
    keeper: Keeper

    @property
    def folder(self) -> str:
        """What the names of all its objects begin with."""
        run = self.run
        return f"archives/{self.dataset.name}/{run.window.label}/run-{run.id}-g{run.generation}"

    def take(self, conn: Connection, deletion: sql.Composed, keys: Keys, number: int) -> int:
        """Delete into an object, read it back, note the batch; returns its rows. The caller commits.

        Raises ContractBroken where it does not read back; the rows stay then, and the object goes.
        """
        name = f"{self.folder}-f{self.run.fence}-{number:06}.copy.zst"
        copied = copying.copy_out(
            copying.cursor_of(conn), deletion, self.store, name, level=copying.ARCHIVE_LEVEL
        )
        try:
            if copied.rows:
                _compare_with_storage(self.store, copied)
                self.keeper.index(conn, SOURCE, "archive", copied.stored)
                self._note(conn, keys, number, copied)
            else:
                self.store.delete(name)
        except BaseException:
            self.store.delete(name)  # still inside the transaction: its rows stay in the table
            raise
        return copied.rows

    def _note(self, conn: Connection, keys: Keys, number: int, copied: copying.Copied) -> None:
        conn.execute(
            text("""
                insert into ocd.purge_chunk
                  (run_id, generation, number, dataset, first_key, last_key, rows, archive, stored_bytes, stored_sha256, raw_sha256)
                values (:run_id, :generation, :number, :dataset, :first_key, :last_key, :rows, :archive, :stored_bytes,
                        :stored_sha256, :raw_sha256)
            """),
            {
                "run_id": self.run.id,
                "generation": self.run.generation,
                "number": number,
                "dataset": self.dataset.name,
                "first_key": keys.first,
                "last_key": keys.last,
                "rows": copied.rows,
                "archive": copied.stored.name,
                "stored_bytes": copied.stored.size_bytes,
                "stored_sha256": copied.stored.sha256,
                "raw_sha256": copied.raw_sha256,
            },
        )

    def batches(self, conn: Connection) -> list[dict[str, Any]]:
        """Return the committed batches of this run, earlier attempts' as well, in order."""
        rows = conn.execute(
            text("""
                select number, first_key, last_key, rows, archive, stored_bytes, stored_sha256, raw_sha256
                from ocd.purge_chunk where run_id = :id and generation = :generation order by number
            """),
            {"id": self.run.id, "generation": self.run.generation},
        )
        found = [dict(row) for row in rows.mappings()]
        conn.rollback()
        return found

    def remove_orphans(self, batches: list[dict[str, Any]]) -> None:
        """Remove what crashed attempts left: objects of this run that none of its committed batches names."""
        kept = {one["archive"] for one in batches}
        place = self.folder.rpartition("/")[0]
        for name in self.store.list(place):
            if name.startswith(f"{self.folder}-f") and name not in kept:
                self.store.delete(name)

    def seal(
        self,
        conn: Connection,
        plan: PurgePlan,
        columns: dict[str, str],
        batches: list[dict[str, Any]],
    ) -> str | None:
        """Write the manifest of all batches; None where there is none. The caller commits."""
        if not batches:
            return None
        manifest = {
            "version": MANIFEST_VERSION,
            "run": self.run.id,
            "dataset": self.dataset.name,
            "window": self.run.window.label,
            "predicate_sha256": plan.sha256,
            "policy_sha256": plan.policy_sha256,
            "expiries": [asdict(one) | {"cutoff": one.cutoff.isoformat()} for one in plan.expiries],
            "columns": list(columns),
            "rows": sum(one["rows"] for one in batches),
            "chunks": batches,
        }
        content = json.dumps(manifest, indent=1).encode()
        name = f"{self.folder}.manifest.json"
        return self.keeper.put(conn, SOURCE, "archive-manifest", name, content).name


def _compare_with_storage(store: Store, copied: copying.Copied) -> None:
    """Read the archive back; raises ContractBroken, so that the rows stay, unless it is the very text."""
    raw = hashlib.sha256()
    for block in copying.read_back(store, copied.stored.name, stored_sha256=copied.stored.sha256):
        raw.update(block)
    if raw.hexdigest() != copied.raw_sha256:
        raise ContractBroken(
            f"{copied.stored.name}: the archive does not read back; its rows were not deleted"
        )
