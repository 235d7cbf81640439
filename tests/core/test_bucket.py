"""A bucket as a store: whole or not at all, and every fault is told as what it is.

Against a fake of our own, and against moto's server where `.ci/run s3` has put it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from ocd.core.bucket import PART_BYTES, BucketStore
from ocd.core.errors import ConfigError, ContractBroken, StoreUnavailable
from tests.fakes.s3 import BUCKET, FakeS3, fake_s3

MOTO = Path(__file__).parents[2] / ".venv-s3" / "bin" / "moto_server"
QUICK = {
    "client_options": {"allow_http": True, "timeout": "1s", "connect_timeout": "1s"},
    "retry_config": {
        "max_retries": 1,
        "retry_timeout": timedelta(seconds=5),
        "backoff": {"init_backoff": timedelta(milliseconds=10)},
    },
}


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with fake_s3() as made:
        yield made


@pytest.fixture
def bucket(fake: FakeS3) -> BucketStore:
    return BucketStore(f"s3://{BUCKET}/some/prefix", **fake.options, **QUICK)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not MOTO.exists():
        pytest.skip("moto's server is not installed; `.ci/run s3` does it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    server = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=said, stderr=said)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.put(f"{url}/{BUCKET}", timeout=5).raise_for_status()
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline, "moto's server did not start"
            time.sleep(0.1)
    yield url
    server.terminate()
    server.wait(timeout=10)
    said.close()


@pytest.fixture(params=["fake", "moto"])
def any_bucket(request: pytest.FixtureRequest) -> BucketStore:
    if request.param == "fake":
        return request.getfixturevalue("bucket")
    options = FakeS3(request.getfixturevalue("moto")).options
    client = {"allow_http": True}
    prefix = hashlib.sha256(os.urandom(8)).hexdigest()[:8]
    return BucketStore(f"s3://{BUCKET}/{prefix}", **options, client_options=client)


def content_of(store, name):
    return b"".join(store.open(name))


def test_small_objects_come_back(any_bucket):
    stored = any_bucket.put("a/b.json", b"hello")

    assert stored.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert (content_of(any_bucket, "a/b.json"), any_bucket.size("a/b.json")) == (b"hello", 5)
    assert any_bucket.size("a/none") is None


def test_large_objects_come_back_from_many_parts(any_bucket):
    blocks = [bytes([number]) * 256 * 1024 for number in range(PART_BYTES * 2 // (256 * 1024) + 5)]
    writer = any_bucket.create("a/big")
    for block in blocks:
        writer.write(block)
    assert any_bucket.size("a/big") is None, "it is seen before its commit"

    stored = writer.commit()

    assert content_of(any_bucket, "a/big") == b"".join(blocks)
    assert stored.size_bytes == any_bucket.size("a/big") == len(b"".join(blocks))


def test_names_are_listed_below_their_prefix_only(any_bucket):
    for name in ("a/1", "a/b/2", "ab/3"):
        any_bucket.put(name, b"x")

    assert any_bucket.list("a") == ["a/1", "a/b/2"]
    assert [one.size_bytes for one in any_bucket.listing("ab")] == [1]


def test_more_names_than_a_page_holds_are_listed(any_bucket):
    for number in range(105):
        any_bucket.put(f"many/{number:03}", b"")

    assert len(any_bucket.list("many")) == 105


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(any_bucket):
    any_bucket.put("a", b"x")

    any_bucket.delete("a")
    any_bucket.delete("a")

    assert any_bucket.size("a") is None


def test_a_new_object_never_replaces_another(any_bucket):
    any_bucket.put("a", b"first", is_new=True)

    with pytest.raises(ContractBroken, match="exists already"):
        any_bucket.put("a", b"second", is_new=True)

    assert content_of(any_bucket, "a") == b"first"


def test_an_aborted_upload_leaves_no_object(any_bucket):
    writer = any_bucket.create("a")
    for _ in range(PART_BYTES // 1024 // 256 + 4):
        writer.write(bytes(256 * 1024))

    writer.abort()
    writer.abort()

    assert any_bucket.list("") == []


def test_an_aborted_upload_leaves_no_parts(bucket, fake):
    writer = bucket.create("a")
    for _ in range(PART_BYTES // 1024 // 256 + 4):
        writer.write(bytes(256 * 1024))

    writer.abort()

    assert fake.uploads == {}


def test_it_says_what_it_can_do(any_bucket):
    assert "with conditional writes" in any_bucket.probe()
    assert any_bucket.list("check") == []


@pytest.mark.parametrize("how", ["refused", "ignored"])
def test_without_conditional_writes_it_looks_first(bucket, fake, how):
    fake.has_conditional_put = False
    if how == "ignored":
        fake.ignores_conditions = True
    assert "without" in bucket.probe()
    bucket.put("a", b"first", is_new=True)

    with pytest.raises(ContractBroken, match="exists already"):
        bucket.put("a", b"second", is_new=True)


def fails(bucket, deed):
    with pytest.raises(StoreUnavailable) as caught:
        deed(bucket)
    assert caught.value.retryable
    return caught.value.message


def upload(bucket):
    writer = bucket.create("big")
    for _ in range(PART_BYTES // 1024 // 256 + 4):
        writer.write(bytes(256 * 1024))
    writer.commit()


DEEDS = {
    "put": lambda bucket: bucket.put("x", b"1"),
    "new": lambda bucket: bucket.put("x", b"1", is_new=True),
    "upload": upload,
    "read": lambda bucket: content_of(bucket, "there"),
    "size": lambda bucket: bucket.size("there"),
    "list": lambda bucket: bucket.list(""),
    "delete": lambda bucket: bucket.delete("there"),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
@pytest.mark.parametrize("fault", ["503", "reset"])
def test_an_outage_is_for_trying_again_and_leaves_nothing_half(bucket, fake, deed, fault):
    bucket.put("there", b"whole")
    fake.fault = lambda method, path: fault

    message = fails(bucket, deed)

    assert "127.0.0.1" not in message
    assert fake.objects == {"some/prefix/there": b"whole"}


def test_a_bucket_that_does_not_answer_is_given_up(bucket, fake):
    fake.fault = lambda method, path: "timeout"

    assert "bucket" in fails(bucket, DEEDS["size"])


def test_an_answer_that_is_cut_short_is_no_object(bucket, fake):
    bucket.put("there", bytes(100_000))
    fake.fault = lambda method, path: "cut" if method == "GET" else None

    assert "there" in fails(bucket, DEEDS["read"])


def test_a_passing_fault_is_not_noticed(bucket, fake):
    answers = iter(["503"])
    fake.fault = lambda method, path: next(answers, None)

    bucket.put("x", b"1")

    assert content_of(bucket, "x") == b"1"


def test_wrong_credentials_are_a_setting(bucket, fake):
    fake.fault = lambda method, path: "403"

    with pytest.raises(ConfigError, match="AWS_"):
        bucket.put("x", b"1")


def test_reading_takes_bounded_blocks(bucket):
    upload(bucket)

    reads = [len(block) for block in bucket.open("big")]

    assert sum(reads) == bucket.size("big")
    assert max(reads) <= 4 * 1024 * 1024
