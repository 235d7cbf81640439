"""What a backup holds, as its signed manifest says: written last, read strictly.

A backup without a manifest does not exist. The file is canonical JSON: any byte of it that changed is found,
by the signature or because it is no longer the one way to write this content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ocd.core.errors import ConfigError, ContractBroken
from ocd.core.signing import Signature, SigningKeys
from ocd.core.store import Store, Stored
from ocd.lifecycle import copying

VERSION = 2
#: A manifest of all tables takes some dozens of kilobytes.
MAX_BYTES = 16_000_000


@dataclass(frozen=True)
class Definition:
    """A constraint, index, policy or the row security of a table, as SQL says it."""

    kind: str
    name: str
    definition: str


@dataclass(frozen=True)
class Part:
    """One dataset in a backup: its rows as an object of the store, and what they must come back as."""

    dataset: str
    columns: dict[str, str]  # name → type, in the table's order
    rows: int
    raw_bytes: int
    raw_sha256: str
    stored_name: str
    stored_sha256: str
    stored_bytes: int
    content_hash: str
    hashed_as_text: tuple[str, ...]  # columns whose type has no hash of its own
    oldest: str | None  # event time, ISO
    newest: str | None
    sequences: dict[str, int | None]  # name → last value, null where never used
    structure: tuple[Definition, ...]


@dataclass(frozen=True)
class Manifest:
    """One backup: where it comes from, what it was made with, and its parts."""

    name: str
    run: int
    generation: int
    fence: int
    window: str
    snapshot_at: datetime
    snapshot_lsn: str | None
    schema_revision: str
    facts_sha256: str
    server_version: str
    tools: dict[str, str]
    sealed_for: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the parts take in the store."""
        return sum(part.stored_bytes for part in self.parts)

    def part(self, dataset: str) -> Part:
        """Return the part of a dataset; raises ConfigError where the backup has none."""
        for part in self.parts:
            if part.dataset == dataset:
                return part
        raise ConfigError(f"{self.name}: this backup holds no {dataset}")


def write(store: Store, manifest: Manifest, keys: SigningKeys) -> Stored:
    """Sign and store a manifest under its name, where none may be yet."""
    body = asdict(manifest) | {"version": VERSION, "snapshot_at": manifest.snapshot_at.isoformat()}
    signature = keys.sign(_canonical(body))
    return store.put(
        manifest.name,
        _canonical({"manifest": body, "signature": asdict(signature)}),
        is_new=True,
    )


def read(store: Store, name: str, keys: SigningKeys, *, sha256: str | None = None) -> Manifest:
    """Return the manifest of that name; raises ContractBroken for any that we did not write there.

    `sha256`: what the ledger noted, where the ledger is at hand.
    """
    size = store.size(name)
    if size is None:
        raise ContractBroken(f"{name}: missing")
    if size > MAX_BYTES:
        raise ContractBroken(f"{name}: damaged: {size:,} bytes are no manifest")
    content = b"".join(store.open(name))
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ContractBroken(f"{name}: damaged: it is not the manifest that was written")
    body = _signed_body(name, content, keys)
    version = body.pop("version", None)
    if version != VERSION:
        raise ContractBroken(f"{name}: manifest version {version}, this code reads {VERSION}")
    if body["name"] != name:
        raise ContractBroken(f"{name}: this is the manifest of {body['name']}")
    return _parsed(body)


def _signed_body(name: str, content: bytes, keys: SigningKeys) -> dict[str, Any]:
    try:
        found = json.loads(content)
        body, signature = found["manifest"], Signature(**found["signature"])
        is_canonical = isinstance(body, dict) and _canonical(found) == content
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ContractBroken(f"{name}: damaged: it is no manifest") from error
    if not is_canonical:
        raise ContractBroken(f"{name}: damaged: it is not written as manifests are")
    keys.check(_canonical(body), signature, name)
    found_body: dict[str, Any] = body
    return found_body


def _parsed(body: dict[str, Any]) -> Manifest:
    parts = tuple(
        Part(
            **one
            | {
                "hashed_as_text": tuple(one["hashed_as_text"]),
                "structure": tuple(Definition(**item) for item in one["structure"]),
            }
        )
        for one in body["parts"]
    )
    return Manifest(
        **body
        | {
            "snapshot_at": datetime.fromisoformat(body["snapshot_at"]),
            "sealed_for": tuple(body["sealed_for"]),
            "parts": parts,
        }
    )


def open_part(store: Store, part: Part) -> Iterator[bytes]:
    """Yield a part's rows as COPY text, in blocks of bounded size.

    Raises ContractBroken where it is missing or damaged; at the end where stored bytes, raw text, or the number
    of rows are others than the manifest says. Only who reads to the end knows.
    """
    raw = hashlib.sha256()
    size = rows = 0
    for block in copying.read_back(store, part.stored_name, stored_sha256=part.stored_sha256):
        raw.update(block)
        size += len(block)
        rows += block.count(b"\n")
        yield block
    if raw.hexdigest() != part.raw_sha256 or size != part.raw_bytes:
        raise ContractBroken(f"{part.stored_name}: damaged: it unpacks to other text")
    if rows != part.rows:
        raise ContractBroken(f"{part.stored_name}: {rows:,} rows, the manifest says {part.rows:,}")


def _canonical(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
