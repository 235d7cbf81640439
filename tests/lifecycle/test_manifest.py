"""The manifest is read as it was written or not at all, and a part as its manifest says."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import pytest

from ocd.core.errors import ConfigError, ContractBroken, OcdError
from ocd.core.signing import SigningKeys, key_id
from ocd.core.store import FolderStore
from ocd.lifecycle import manifest
from ocd.lifecycle.backup import backup
from tests.conftest import KEYS
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_queries

NEW = SigningKeys(("a-newer-key-0123456789abcdefghijklm",))


@pytest.fixture
def name(conn, store, keeper_for, start_run):
    add_queries(conn, 300, created_at=NOW)
    run = start_run("lifecycle.backup")
    return backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS).manifest


def read_whole(store, name, keys=KEYS):
    """Read manifest and parts as a restore without a ledger does."""
    found = manifest.read(store, name, keys)
    for part in found.parts:
        for _ in manifest.open_part(store, part):
            pass
    return found


def test_it_says_what_is_needed_to_restore_and_to_trust(conn, store, name):
    found = read_whole(store, name)

    queries = found.part("agent_queries")
    assert (queries.rows, queries.columns["result"]) == (300, "jsonb")
    assert list(queries.columns)[:3] == ["id", "query", "result"], "the table's order"
    assert queries.oldest == queries.newest == f"{NOW:%Y-%m-%d %H:%M:%S}+00"
    assert queries.sequences == {"public.agent_queries_id_seq": 300}
    kinds = {one.kind for one in queries.structure}
    assert kinds == {"constraint", "index", "policy", "row security"}
    assert found.snapshot_lsn
    assert found.server_version.startswith("18")
    assert found.sealed_for == ()


def test_after_a_new_key_the_old_backups_are_read_as_long_as_it_is_named(store, name):
    both = SigningKeys((*NEW.keys, *KEYS.keys))

    assert read_whole(store, name, both).name == name
    with pytest.raises(ContractBroken, match=f"signed with key {key_id(KEYS.keys[0])}"):
        read_whole(store, name, NEW)


def test_without_a_key_nothing_is_signed():
    with pytest.raises(ConfigError, match="OCD_SIGNING_KEY"):
        SigningKeys(()).sign(b"x")


def test_a_key_never_shows():
    assert KEYS.keys[0] not in repr(KEYS) + key_id(KEYS.keys[0])


def test_it_is_written_where_none_is(store, name):
    found = manifest.read(store, name, KEYS)

    with pytest.raises(ContractBroken, match="exists already"):
        manifest.write(store, replace(found, window="another"), KEYS)


def test_another_folders_manifest_is_refused(store, name):
    store.put("backups/elsewhere/manifest.json", b"".join(store.open(name)))

    with pytest.raises(ContractBroken, match="this is the manifest of"):
        manifest.read(store, "backups/elsewhere/manifest.json", KEYS)


@pytest.mark.parametrize("seed", range(150))
def test_any_damage_is_found_without_a_ledger(kept_files, seed):
    """A flipped bit, a cut or an addition anywhere, in the manifest or in a part."""
    store, name, files = kept_files
    dice = random.Random(seed)
    path = dice.choice([path for path in files if path.stat().st_size])
    whole = path.read_bytes()
    at = dice.randrange(len(whole))
    damaged = dice.choice(
        [
            whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :],
            whole[:at],
            whole + dice.randbytes(3),
        ]
    )
    path.write_bytes(damaged)
    try:
        with pytest.raises(ContractBroken):
            read_whole(store, name)
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def kept_files(tmp_path_factory):
    """A backup of two parts, made without a database."""
    import hashlib

    import zstandard

    store = FolderStore(tmp_path_factory.mktemp("kept"))
    parts = []
    for dataset, rows in (("agent_queries", 500), ("agent_feedback", 3)):
        raw = b"".join(b"%d\tsomething\\n\n" % number for number in range(rows))
        stored = store.put(
            f"backups/w/run-1-g1-f1/{dataset}.copy.zst",
            zstandard.ZstdCompressor(write_checksum=True).compress(raw),
        )
        parts.append(
            manifest.Part(
                dataset, {"id": "bigint", "text": "text"}, rows, len(raw),
                hashlib.sha256(raw).hexdigest(), stored.name, stored.sha256, stored.size_bytes,
                "1:2", (), None, None, {}, (manifest.Definition("index", "i", "create index"),),
            )
        )  # fmt: skip
    made = manifest.Manifest(
        "backups/w/run-1-g1-f1/manifest.json", 1, 1, 1, "w", NOW, "0/1", "0018", "f", "18.1",
        {"ocd": "1"}, (), tuple(parts),
    )  # fmt: skip
    manifest.write(store, made, KEYS)
    assert read_whole(store, made.name) == made
    return store, made.name, [store.path(one) for one in store.list("")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"manifest": 1, "signature": {}}',
        b'{"manifest":{},"signature":{"key_id":"\xc3\xa9","hmac_sha256":"\xc3\xa9"}}',
        b'{"manifest":{},"signature":{"key_id":1,"hmac_sha256":null}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_is_no_manifest_is_refused_in_words(store, content):
    store.put("backups/w/r/manifest.json", content)

    with pytest.raises(OcdError, match="manifest.json"):
        manifest.read(store, "backups/w/r/manifest.json", KEYS)


def test_a_number_changed_without_the_key_is_refused(store, name):
    found = json.loads(b"".join(store.open(name)))
    found["manifest"]["parts"][0]["rows"] += 1
    store.put(name, json.dumps(found, separators=(",", ":")).encode())

    with pytest.raises(ContractBroken, match="signature does not fit"):
        manifest.read(store, name, KEYS)


def test_spaces_that_change_nothing_are_damage_as_well(store, name):
    found = json.loads(b"".join(store.open(name)))
    store.put(name, json.dumps(found, indent=1).encode())

    with pytest.raises(ContractBroken, match="not written as manifests are"):
        manifest.read(store, name, KEYS)


def test_an_unknown_version_is_told(store, name):
    body = json.loads(b"".join(store.open(name)))["manifest"] | {"version": 99}
    signature = KEYS.sign(json.dumps(body, separators=(",", ":")).encode())
    store.put(
        name,
        json.dumps(
            {"manifest": body, "signature": asdict(signature)}, separators=(",", ":")
        ).encode(),
    )

    with pytest.raises(ContractBroken, match="version 99, this code reads 2"):
        manifest.read(store, name, KEYS)
