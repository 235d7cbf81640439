"""Where rows can be brought back from: parts of backups, and what purges archived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, ContractBroken, UnknownName
from ocd.core.signing import SigningKeys
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.lifecycle import copying, manifest
from ocd.lifecycle.backup import live_columns
from ocd.lifecycle.manifest import Manifest, Part

_ARCHIVES = statement(__file__, "list_archives.sql")
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Portion:
    """Rows of one dataset as COPY text: what they are, of which instant, and how to read them."""

    dataset: Dataset
    columns: dict[str, str]  # name → type, in the order of the text
    rows: int
    as_of: datetime
    name: str
    read: Callable[[], Iterator[bytes]]


def folders(store: Store) -> list[str]:
    """Return the folders of the complete backups in the store, oldest window first."""
    names = [name for name in store.list("backups") if name.endswith(f"/{_MANIFEST}")]
    return sorted(name.removesuffix(f"/{_MANIFEST}") for name in names)


def find_folder(conn: Connection, store: Store, wanted: str) -> str:
    """Return the folder of a backup: by its run's number, by its name, or `newest`, the newest proved one.

    Looks into the store, so that backups of a database that was lost are found as well.
    """
    known = folders(store)
    if not known:
        raise ConfigError(f"there is no backup in {store.describe('backups')}")
    if wanted == "newest":
        return _newest(conn, known)
    name = wanted.removesuffix(f"/{_MANIFEST}")
    found = [
        one for one in known if name == one or one.rsplit("/", 1)[1].startswith(f"run-{name}-")
    ]
    if len(found) > 1:
        raise ConfigError(f"--backup {wanted}: say which one: {', '.join(found)}")
    if not found:
        raise UnknownName("backup", wanted, known[-5:])
    return found[0]


def _newest(conn: Connection, known: list[str]) -> str:
    proved = conn.execute(
        text("""
            select a.name from ocd.verification v
            join ocd.artifact a on a.run_id = v.backup_run_id and a.kind = 'backup-manifest' and a.removed_at is null
              and (v.backup_id is null or v.backup_id = a.id)
            group by a.name, a.created_at having bool_and(v.is_equal and v.level >= 3) order by a.created_at desc limit 1
        """)
    ).scalar()
    conn.rollback()
    return str(proved).removesuffix(f"/{_MANIFEST}") if proved else known[-1]


def open_backup(conn: Connection, store: Store, folder: str, keys: SigningKeys) -> Manifest:
    """Return what a backup of the store holds; raises ContractBroken where its manifest is not ours."""
    name = f"{folder}/{_MANIFEST}"
    noted = conn.execute(
        text("select sha256 from ocd.artifact where name = :name"), {"name": name}
    ).scalar()
    conn.rollback()
    return manifest.read(store, name, keys, sha256=noted)


def of_backup(store: Store, found: Manifest, dataset: str | None = None) -> tuple[Portion, ...]:
    """Return the portions of a backup, parents first: of one dataset, or all; raises ConfigError."""
    parts = found.parts if dataset is None else (found.part(dataset),)
    return tuple(_of_part(store, part, found.snapshot_at) for part in parts)


def _of_part(store: Store, part: Part, snapshot_at: datetime) -> Portion:
    return Portion(
        dataset_named(part.dataset),
        part.columns,
        part.rows,
        snapshot_at,
        part.stored_name,
        lambda: manifest.open_part(store, part),
    )


def archives(
    conn: Connection, store: Store, *, run_id: int | None = None, dataset: str | None = None
) -> list[Portion]:
    """Return what purges archived, as it stands now, oldest first: of one run, of one dataset, or all."""
    rows = conn.execute(_ARCHIVES, {"run_id": run_id, "dataset": dataset}).all()
    conn.rollback()
    columns: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.manifest not in columns:
            columns[row.manifest] = _columns(conn, store, row.dataset, row.manifest)
    return [_of_archive(store, row, columns[row.manifest]) for row in rows]


def _columns(conn: Connection, store: Store, dataset: str, sealed: str | None) -> dict[str, str]:
    """Return the columns in an archive: as its manifest says, else (never sealed) as the table has them."""
    live = live_columns(conn, dataset_named(dataset))
    conn.rollback()
    if sealed is None or store.size(sealed) is None:
        return live
    names = json.loads(b"".join(store.open(sealed)))["columns"]
    return {name: live.get(name, "text") for name in names}


def _of_archive(store: Store, row: Any, columns: dict[str, str]) -> Portion:
    return Portion(
        dataset_named(row.dataset),
        columns,
        row.rows,
        row.committed_at,
        row.archive,
        lambda: checked(
            copying.read_back(store, row.archive, stored_sha256=row.stored_sha256),
            row.archive,
            row.raw_sha256,
        ),
    )


def checked(blocks: Iterator[bytes], name: str, raw_sha256: str) -> Iterator[bytes]:
    """Pass blocks on; raises ContractBroken at the end where they are not the text that was written."""
    raw = hashlib.sha256()
    for block in blocks:
        raw.update(block)
        yield block
    if raw.hexdigest() != raw_sha256:
        raise ContractBroken(f"{name}: damaged: it unpacks to other text")
