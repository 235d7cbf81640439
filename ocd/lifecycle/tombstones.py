"""What was erased and may never come back: keyed hashes, in the database and beside the backups.

The hash is an HMAC: ids are short numbers, and anybody could hash all of them and compare. The key is a
setting; whoever restores needs it, and without it a restore is refused rather than undoing an erasure.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, ContractBroken
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.datasets.subjects import Kind, Subject, traces
from ocd.lifecycle.manifest import Manifest, Part
from ocd.lifecycle.traced import Known, Sieve

#: Where receipts lie in the store: they hold the tombstones, for a database that was lost.
RECEIPTS = "erasures"
#: Restores share this lock batch by batch; placing a tombstone waits for them.
_LOCK = 7_316_025
_HASHES = 100_000


@dataclass(frozen=True)
class HashKey:
    """The key of the hashes, and its public name."""

    key: str = field(repr=False)

    @property
    def id(self) -> str:
        """Name of the key; it tells nothing of it."""
        return hashlib.sha256(b"ocd erasure key " + self.key.encode()).hexdigest()[:12]

    def hashed(self, kind: Kind, subject_id: str) -> str:
        """Return the HMAC-SHA256 (hex) of a subject."""
        content = f"{kind.value}:{subject_id}".encode()
        return hmac.new(self.key.encode(), content, hashlib.sha256).hexdigest()


def key_of(setting: str | None) -> HashKey:
    """Return the key; raises ConfigError where none is set."""
    if not setting:
        raise ConfigError(
            "no key for erased ids: set OCD_ERASURE_KEY, or OCD_ERASURE_KEY_FILE, to the same text wherever "
            "erasures and restores run"
        )
    return HashKey(setting)


@dataclass(frozen=True)
class Tombstone:
    """A subject that was erased; `erased_at=None`: it is being erased."""

    kind: str
    subject_hmac: str
    key_id: str
    erased_at: datetime | None


@dataclass(frozen=True)
class Tombstones:
    """All that stand, and the key to recognise rows by."""

    standing: tuple[Tombstone, ...] = ()
    key: HashKey | None = None
    newest: int = 0  # id of the newest one in the database

    def sieve(self, dataset: Dataset, columns: Iterable[str], *, as_of: datetime) -> Sieve | None:
        """Return what takes erased rows out of a copy of that instant; None where nothing can be in it.

        A copy that was made after the erasure holds only what is new of the same subject.
        """
        hashes = {
            (one.kind, one.subject_hmac)
            for one in self.standing
            if one.erased_at is None or one.erased_at >= as_of
        }
        if not hashes or not traces(dataset):
            return None
        return Sieve(dataset, columns, self._known(hashes))

    def of_part(self, backup: Manifest, part: Part) -> Sieve | None:
        """Return what takes erased rows out of a part of a backup; None where nothing can be in it."""
        return self.sieve(dataset_named(part.dataset), part.columns, as_of=backup.snapshot_at)

    def _known(self, hashes: set[tuple[str, str]]) -> Known:
        assert self.key is not None, "`standing` gives no tombstones without"  # noqa: S101
        hashed = lru_cache(_HASHES)(self.key.hashed)
        return lambda kind, found: (kind.value, hashed(kind, found)) in hashes


def standing(conn: Connection, store: Store, key: str | None) -> Tombstones:
    """Return every tombstone of the database and of the receipts in the store.

    Raises ConfigError where there are some that the key does not fit, ContractBroken for a damaged receipt.
    """
    rows = conn.execute(
        text("select id, kind, subject_hmac, key_id, erased_at from ocd.tombstone order by id")
    ).all()
    conn.rollback()
    found = {Tombstone(row.kind, row.subject_hmac, row.key_id, row.erased_at) for row in rows}
    found |= set(_in_receipts(store))
    newest = rows[-1].id if rows else 0
    if not found:
        return Tombstones(newest=newest)
    hash_key = key_of(key)
    foreign = {one.key_id for one in found} - {hash_key.id}
    if foreign:
        raise ConfigError(
            f"ids were erased under key {', '.join(sorted(foreign))}, OCD_ERASURE_KEY is {hash_key.id}: "
            "what was erased could come back; set the key that they were erased with"
        )
    return Tombstones(tuple(sorted(found, key=lambda one: one.subject_hmac)), hash_key, newest)


def _in_receipts(store: Store) -> Iterable[Tombstone]:
    for name in store.list(RECEIPTS):
        if not name.endswith(".json"):
            continue
        try:
            body = json.loads(b"".join(store.open(name)))
            yield from (_parsed(one) for one in body["tombstones"])
        except (ValueError, TypeError, KeyError) as error:
            raise ContractBroken(
                f"{name}: damaged: it is no receipt of an erasure; what was erased could come back"
            ) from error


def _parsed(one: dict[str, Any]) -> Tombstone:
    return Tombstone(
        one["kind"], one["subject_hmac"], one["key_id"], datetime.fromisoformat(one["erased_at"])
    )


def place(conn: Connection, request_id: int, subjects: Iterable[Subject], key: HashKey) -> None:
    """Place a tombstone for each subject; waits for restores at work. The caller commits."""
    conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    conn.execute(
        text("""
            insert into ocd.tombstone (request_id, kind, subject_hmac, key_id)
            values (:request_id, :kind, :subject_hmac, :key_id) on conflict do nothing
        """),
        [
            {
                "request_id": request_id,
                "kind": one.kind.value,
                "subject_hmac": key.hashed(one.kind, one.id),
                "key_id": key.id,
            }
            for one in subjects
        ],
    )


def require_none_newer(conn: Connection, known: Tombstones) -> None:
    """Hold off new tombstones until the end of this transaction; raises ConfigError where one came meanwhile."""
    conn.execute(text("select pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})
    newest = conn.execute(text("select coalesce(max(id), 0) from ocd.tombstone")).scalar_one()
    if newest != known.newest:
        raise ConfigError("something was erased meanwhile; `ocd rerun` takes it up and heeds it")
