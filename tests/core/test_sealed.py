"""Encryption at rest: rows are read with a key only, by what was written and by the right identities."""

from __future__ import annotations

import threading

import pyrage
import pytest

from ocd.core.errors import ConfigError, ContractBroken, StoreUnavailable
from ocd.core.sealed import SealedStore
from ocd.core.store import AGE_MAGIC, FolderStore, open_store

ROWS = [bytes([number % 256]) * 100_000 for number in range(30)]


def key():
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), str(identity)


@pytest.fixture
def pair(tmp_path):
    public, private = key()
    file = tmp_path / "identity"
    file.write_text(f"# made by age-keygen\n{private}\n")
    return public, file


def written(store, name="a/rows"):
    writer = store.create(name)
    for block in ROWS:
        writer.write(block)
    return writer.commit()


def test_rows_are_stored_encrypted_and_come_back(store, pair):
    sealed = SealedStore(store, (pair[0],), pair[1])

    stored = written(sealed)

    there = b"".join(store.open("a/rows"))
    assert there.startswith(AGE_MAGIC)
    assert ROWS[1] not in there
    assert (stored.size_bytes, stored.sha256) == (len(there), sha256(there))
    assert b"".join(sealed.open("a/rows")) == b"".join(ROWS)


def sha256(content):
    import hashlib

    return hashlib.sha256(content).hexdigest()


def test_the_age_format_is_read_without_us(store, pair):
    written(SealedStore(store, (pair[0],), None))

    identity = pyrage.x25519.Identity.from_str(pair[1].read_text().splitlines()[1])
    assert pyrage.decrypt(b"".join(store.open("a/rows")), [identity]) == b"".join(ROWS)


def test_who_writes_reads_back_what_it_wrote_and_nothing_else(store, pair):
    """A purge must read its archive back; yesterday's archives are none of its business."""
    today, yesterday = (
        SealedStore(store, (pair[0],), None),
        SealedStore(store, (pair[0],), None),
    )
    written(yesterday, "yesterday")
    written(today, "today")

    assert b"".join(today.open("today")) == b"".join(ROWS)
    with pytest.raises(ConfigError, match="OCD_AGE_IDENTITY_FILE"):
        b"".join(today.open("yesterday"))


def test_without_any_key_it_says_what_to_set(store, pair):
    written(SealedStore(store, (pair[0],), None))

    with pytest.raises(ConfigError, match="OCD_AGE_IDENTITY_FILE"):
        b"".join(store.open("a/rows")) and b"".join(store.unseal(store.open_stored("a/rows")))


def test_after_a_rotation_old_and_new_objects_are_read(store, pair, tmp_path):
    public, private = key()
    written(SealedStore(store, (pair[0],), None), "old")
    written(SealedStore(store, (public,), None), "new")
    both = tmp_path / "both"
    both.write_text(f"{pair[1].read_text()}{private}\n")

    reader = SealedStore(store, (public,), both)

    assert {b"".join(reader.open(name)) for name in ("old", "new")} == {b"".join(ROWS)}


def test_objects_from_before_encryption_are_read(store, pair):
    written(store, "plain")

    assert b"".join(SealedStore(store, (pair[0],), None).open("plain")) == b"".join(ROWS)


def test_small_objects_stay_readable(store, pair):
    SealedStore(store, (pair[0],), None).put("manifest.json", b"{}")

    assert b"".join(store.open("manifest.json")) == b"{}"


def test_a_range_can_be_read(store, pair):
    sealed = SealedStore(store, (pair[0],), None)
    written(sealed)

    assert b"".join(sealed.open("a/rows", 199_999, 3)) == b"\x01\x02\x02"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"more",
        lambda content: content[:1_000_000] + b"\x00" * 10 + content[1_000_010:],
    ],
    ids=["half", "last byte", "more", "overwritten"],
)
def test_damage_is_told_and_nothing_hangs(store, pair, damage):
    sealed = SealedStore(store, (pair[0],), pair[1])
    written(sealed)
    path = store.path("a/rows")
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ContractBroken, match="does not decrypt"):
        b"".join(sealed.open("a/rows"))


def test_an_aborted_object_leaves_nothing(store, pair):
    sealed = SealedStore(store, (pair[0],), None)
    writer = sealed.create("big")
    for block in ROWS:
        writer.write(block)

    writer.abort()

    assert store.list("") == []
    assert "age" not in {thread.name for thread in threading.enumerate()}


def test_a_reader_that_goes_away_ends_the_thread(store, pair):
    sealed = SealedStore(store, (pair[0],), pair[1])
    written(sealed)
    blocks = sealed.open("a/rows")
    next(blocks)

    blocks.close()

    assert "age" not in {thread.name for thread in threading.enumerate()}


class Failing(FolderStore):
    """A store that is full after a megabyte, and cannot be read beyond one."""

    def create(self, name):
        writer = super().create(name)
        write = writer.write

        def limited(block):
            if writer._size > 1_000_000:
                raise StoreUnavailable("full")
            write(block)

        writer.write = limited
        return writer

    def open_stored(self, name):
        yield from self.open(name, 0, 1_000_000)
        raise StoreUnavailable("away")


def test_a_store_that_fails_says_so_itself(tmp_path, pair):
    sealed = SealedStore(Failing(tmp_path / "full"), (pair[0],), pair[1])

    with pytest.raises(StoreUnavailable, match="full"):
        written(sealed)

    assert sealed.list("") == []


def test_a_store_that_goes_away_is_no_damage(store, pair):
    written(SealedStore(store, (pair[0],), None))
    sealed = SealedStore(Failing(store.root), (pair[0],), pair[1])

    with pytest.raises(StoreUnavailable, match="away"):
        b"".join(sealed.open("a/rows"))


def test_a_key_that_is_none_is_refused(store, tmp_path):
    (tmp_path / "identity").write_text("nothing\n")
    for recipients, file in (
        (("age1nothing",), None),
        ((), tmp_path / "identity"),
        ((), tmp_path / "none"),
    ):
        with pytest.raises(ConfigError, match="OCD_AGE"):
            open_store(str(store.root), recipients=recipients, identity_file=file)
