"""Prove a backup: restore it into a scratch server and compare it with what was there."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import psycopg
from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken, PolicyRefused
from ocd.core.signing import SigningKeys
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import loading, manifest
from ocd.lifecycle.backup import SOURCE
from ocd.lifecycle.loading import Loaded
from ocd.lifecycle.manifest import Manifest, Part
from ocd.lifecycle.tombstones import Tombstones

log = logging.getLogger(__name__)

_NEWEST = statement(__file__, "newest_backup.sql")
Scratch = Callable[[], AbstractContextManager[str]]

#: How far a proof went. Only from RESTORED on does a backup count.
DAMAGED, READ, UNPACKED, RESTORED, EQUAL = range(5)


@dataclass(frozen=True)
class Compared:
    """One dataset, restored: equal, or why not; how far the proof went, and how long the restore took."""

    dataset: str
    rows: int
    content_hash: str
    is_equal: bool
    level: int
    restore_s: float
    reason: str | None = None


@dataclass(frozen=True)
class VerifyReport:
    """What was restored and compared, and how long a restore of everything took."""

    version: ClassVar[int] = 2
    backup: int
    backup_run: int
    manifest: str
    level: int
    restore_s: float
    compared: tuple[Compared, ...]
    erased: int = 0  # rows of erased people, which no restore brings back

    @property
    def rows(self) -> int:
        """Rows restored."""
        return sum(one.rows for one in self.compared)

    @property
    def summary(self) -> str:
        """One line for people."""
        equal = sum(one.is_equal for one in self.compared)
        erased = f", {self.erased:,} of them of erased people" if self.erased else ""
        return (
            f"{equal} of {len(self.compared)} tables restored equal, {self.rows:,} rows{erased} in"
            f" {self.restore_s:.1f} s, L{self.level}, backup run {self.backup_run}"
        )


def verify(
    conn: Connection,
    *,
    run: Run,
    store: Store,
    keeper: Keeper,
    keys: SigningKeys,
    scratch: Scratch,
    erased: Tombstones | None = None,
) -> VerifyReport:
    """Restore the newest backup, tonight's first, and compare everything that its manifest says.

    Records one verification per dataset, commits once, then raises ContractBroken if one differs.
    Raises PolicyRefused where there is no backup, ConfigError where its key is not at hand. `scratch` gives the
    URL of an empty throw-away database, as a login that may create what the migrations create. Rows of erased
    people are compared like all others, and counted: no restore brings them back.
    """
    backup = conn.execute(_NEWEST, {"window_start": run.window.start}).first()
    conn.rollback()
    if backup is None:
        raise PolicyRefused("there is no backup to verify; run `ocd run lifecycle.backup` first")
    restore_s, erased_rows = 0.0, 0
    try:
        found = manifest.read(store, backup.manifest, keys, sha256=backup.manifest_sha256)
    except ContractBroken as error:
        compared = tuple(
            Compared(name, 0, "", False, DAMAGED, 0.0, error.message) for name in backup.datasets
        )
    else:
        compared, restore_s, erased_rows = _restored(
            found, run, store, scratch, erased or Tombstones()
        )
    report = VerifyReport(
        backup.id,
        backup.run_id,
        backup.manifest,
        min((one.level if one.is_equal else DAMAGED for one in compared), default=DAMAGED),
        restore_s,
        compared,
        erased_rows,
    )
    different = [f"{one.dataset}: {one.reason}" for one in compared if not one.is_equal]
    with run.batch(conn) as batch:
        _record(conn, run, keeper, report)
        batch.progress(len(compared), len(compared), "tables compared")
        batch.report = None if different else report
    if different:
        raise ContractBroken(
            f"backup of run {backup.run_id} is not what it was made from: {'; '.join(different)}"
        )
    log.info("verified", extra={"backup_run": backup.run_id, "rows": report.rows})
    return report


def _restored(
    found: Manifest, run: Run, store: Store, scratch: Scratch, erased: Tombstones
) -> tuple[tuple[Compared, ...], float, int]:
    sieves = {part.dataset: erased.of_part(found, part) for part in found.parts}

    def through(part: Part, blocks: Iterator[bytes]) -> Iterator[bytes]:
        sieve = sieves[part.dataset]
        return sieve.counting(blocks) if sieve else blocks

    with scratch() as url:
        started = time.monotonic()
        loaded = loading.rebuild(
            url, found, store, told=loading.telling(run, found), through=through
        )
        took_s = time.monotonic() - started
        is_same_major = _major(found.server_version) == _major(_server_version(url))
    compared = tuple(_compared(part, loaded[part.dataset], is_same_major) for part in found.parts)
    return compared, took_s, sum(one.removed for one in sieves.values() if one)


def _compared(part: Part, loaded: Loaded, is_same_major: bool) -> Compared:
    digest = loaded.content.digest if loaded.content else ""
    rows = loaded.content.rows if loaded.content else 0
    level, reason = _judged(part, loaded, is_same_major)
    return Compared(
        part.dataset, rows, digest, reason is None, level, round(loaded.took_s, 3), reason
    )


def _judged(part: Part, loaded: Loaded, is_same_major: bool) -> tuple[int, str | None]:
    """Return how far the proof went, and what is different; None where nothing is."""
    if loaded.damage is not None or loaded.content is None:
        return DAMAGED, f"does not restore: {loaded.damage}"
    if loaded.content.rows != part.rows:
        return UNPACKED, f"{loaded.content.rows:,} rows restored, {part.rows:,} were copied"
    different = _structure_differs(part, loaded)
    if different is not None:
        return UNPACKED, different
    if not is_same_major:
        return RESTORED, None  # servers of different major versions hash differently
    if loaded.content.digest != part.content_hash:
        return RESTORED, "the content hash differs from the source's"
    return EQUAL, None


def _structure_differs(part: Part, loaded: Loaded) -> str | None:
    def shown(items: tuple[manifest.Definition, ...]) -> dict[tuple[str, str], str]:
        # A reference to a table that no backup holds comes back unchecked.
        return {(one.kind, one.name): one.definition.removesuffix(" NOT VALID") for one in items}

    before, after = shown(part.structure), shown(loaded.structure)
    for kind, name in sorted(before.keys() | after.keys()):
        if before.get((kind, name)) != after.get((kind, name)):
            return f"{kind} {name} is not as it was"
    for name, last_value in part.sequences.items():
        if loaded.sequences.get(name) != last_value:
            return f"sequence {name} is not where it was"
    return None


def _server_version(url: str) -> str:
    with psycopg.connect(url) as conn:
        return str(conn.execute("show server_version").fetchone()[0])  # type: ignore[index]


def _major(version: str) -> str:
    return version.split(".", 1)[0]


def _record(conn: Connection, run: Run, keeper: Keeper, report: VerifyReport) -> None:
    conn.execute(
        text("""
            insert into ocd.verification
              (run_id, backup_run_id, backup_id, dataset, rows, content_hash, is_equal, level, restore_ms, reason)
            values (:run_id, :backup_run_id, :backup_id, :dataset, :rows, :content_hash, :is_equal, :level, :restore_ms, :reason)
        """),
        [
            {
                "run_id": run.id,
                "backup_run_id": report.backup_run,
                "backup_id": report.backup,
                "dataset": one.dataset,
                "rows": one.rows,
                "content_hash": one.content_hash,
                "is_equal": one.is_equal,
                "level": one.level,
                "restore_ms": round(one.restore_s * 1000),
                "reason": one.reason,
            }
            for one in report.compared
        ],
    )
    body: dict[str, Any] = {
        "backup_run": report.backup_run,
        "manifest": report.manifest,
        "compared": [asdict(one) for one in report.compared],
    }
    name = f"{report.manifest.rsplit('/', 1)[0]}/verification-run-{run.id}-g{run.generation}-f{run.fence}.json"
    keeper.put(conn, SOURCE, "verification", name, json.dumps(body, indent=1).encode())
