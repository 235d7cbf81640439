"""The artifact store: whole or not at all, private, clear when it is full."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ocd.core.errors import ConfigError, ContractBroken, StoreUnavailable
from ocd.core.store import FolderStore, open_store


def test_an_object_comes_back_as_it_was_stored(store):
    stored = store.put("a/b.json", b"hello")

    assert b"".join(store.open("a/b.json")) == b"hello"
    assert (stored.size_bytes, store.size("a/b.json")) == (5, 5)


def test_files_are_for_their_owner_only(store):
    store.put("a/b.json", b"x")

    assert stat.S_IMODE(store.path("a/b.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path("a").stat().st_mode) == 0o700


def test_an_object_does_not_exist_before_its_commit(store):
    writer = store.create("big")
    writer.write(b"x" * 100)

    assert store.size("big") is None
    writer.commit()
    assert store.size("big") == 100


def test_an_aborted_object_leaves_nothing(store):
    writer = store.create("big")
    writer.write(b"x")

    writer.abort()

    assert store.list("") == []


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path):
    """/dev/full answers every write with ENOSPC, as a full disk does."""
    store = FolderStore(tmp_path)
    writer = store.create("big")
    writer._file.close()
    writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115

    with pytest.raises(StoreUnavailable, match=r"full.*OCD_ARTIFACT_URL"):
        writer.write(b"x" * 10)

    assert store.list("") == []


def test_a_name_cannot_leave_the_store(store):
    with pytest.raises(ConfigError):
        store.put("../outside", b"x")


def test_a_new_object_never_replaces_another(store):
    store.put("a", b"first", is_new=True)

    with pytest.raises(ContractBroken, match="exists already"):
        store.put("a", b"second", is_new=True)

    assert b"".join(store.open("a")) == b"first"
    assert store.list("") == ["a"]


def test_a_range_can_be_read(store):
    store.put("a", b"0123456789")

    assert b"".join(store.open("a", 2, 3)) == b"234"


def test_a_bucket_is_opened_by_its_url():
    assert type(open_store("memory:///")).__name__ == "BucketStore"


def test_a_bucket_stores_lists_and_deletes_like_a_folder():
    store = open_store("memory:///")
    writer = store.create("x/big")
    writer.write(b"ab")
    writer.write(b"cd")

    stored = writer.commit()

    assert (stored.size_bytes, store.size("x/big"), store.list("x")) == (4, 4, ["x/big"])
    assert b"".join(store.open("x/big", 1, 2)) == b"bc"
    store.delete("x/big")
    assert store.size("x/big") is None
