"""Artifacts in an S3-compatible bucket, through obstore."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import Any

from ocd.core.errors import ConfigError, ContractBroken, StoreUnavailable
from ocd.core.store import BLOCK, Listed, Stored, refuse_sealed

#: A part of a large object; S3 takes 5 MiB at least and 10,000 parts at most, so objects up to 78 GiB.
PART_BYTES = 8 * 1024 * 1024
#: obstore tries again by itself what a passing fault broke; the run is tried again behind that.
_RETRY = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5)},
}
_CLIENT = {"connect_timeout": "5s", "timeout": "60s"}


class BucketStore:
    """Artifacts in a bucket below a prefix: s3://bucket/prefix, with AWS_* variables for the rest."""

    sealed_for: tuple[str, ...] = ()

    def __init__(self, url: str, **changes: Any) -> None:
        from obstore.store import from_url

        self.url = url.rstrip("/")
        options: dict[str, Any] = {"retry_config": _RETRY, "client_options": _CLIENT} | changes
        self._bucket = from_url(self.url, **({} if url.startswith("memory:") else options))

    def put(self, name: str, content: bytes, *, is_new: bool = False) -> Stored:
        """Write a small object whole; an existing one is replaced atomically, unless it `is_new`."""
        is_free = is_new and self.has_conditional_put
        if is_new and not is_free and self.size(name) is not None:
            # All that a bucket without conditional writes allows; our names hold the fence, so no two meet.
            raise ContractBroken(f"{name}: exists already")
        if not self._put(name, content, "create" if is_free else "overwrite"):
            raise ContractBroken(f"{name}: exists already")
        return Stored(name, hashlib.sha256(content).hexdigest(), len(content))

    def _put(self, name: str, content: bytes, mode: Any) -> bool:
        """Write in one request; returns whether it was written: not where `create` met an object."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with _told(name):
            try:
                obstore.put(self._bucket, name, content, mode=mode, use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    @cached_property
    def has_conditional_put(self) -> bool:
        """Whether the bucket refuses to replace when asked: some refuse the question, some do not hear it."""
        name = f"check/conditional-{secrets.token_hex(8)}"
        self._put(
            name, b"1", "overwrite"
        )  # an outage shows here, so the next failure is the answer
        try:
            return not self._put(name, b"2", "create")
        except StoreUnavailable:
            return False
        finally:
            self.delete(name)

    def probe(self) -> str:
        """Try what we need; returns in words what the bucket can do."""
        name = f"check/probe-{secrets.token_hex(8)}"
        try:
            stored = self.put(name, b"ok")
            found = b"".join(self.open(name))
            if hashlib.sha256(found).hexdigest() != stored.sha256 or name not in self.list("check"):
                raise StoreUnavailable("artifact bucket: it does not give back what it took")
        finally:
            self.delete(name)
        how = "with" if self.has_conditional_put else "without (nothing depends on them)"
        return f"takes files at {self.url}, {how} conditional writes"

    def create(self, name: str) -> BucketWriter:
        """Open a large object for writing; it exists only after `commit`."""
        return BucketWriter(self._bucket, name)

    def open(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes, or a range of them, in blocks."""
        import obstore

        with _told(name):
            end = self.size(name) if length is None else offset + length
            if end is None:
                raise StoreUnavailable(f"artifact bucket: {name}: no such object")
            while offset < end:
                step = min(BLOCK * 16, end - offset)
                block = bytes(obstore.get_range(self._bucket, name, start=offset, length=step))
                if len(block) != step:
                    raise StoreUnavailable(f"artifact bucket: {name}: the answer was cut short")
                yield block
                offset += step

    def open_stored(self, name: str) -> Iterator[bytes]:
        """Yield the stored bytes in blocks."""
        return self.open(name)

    def unseal(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks as they are."""
        return refuse_sealed(blocks)

    def size(self, name: str) -> int | None:
        """Return the object's size in bytes, None where there is none."""
        import obstore

        with _told(name):
            try:
                return int(obstore.head(self._bucket, name)["size"])
            except FileNotFoundError:
                return None

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted."""
        return sorted(one.name for one in self.listing(prefix))

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Yield what lies below a folder-like prefix, in no order."""
        import obstore

        with _told(prefix):
            for page in obstore.list(self._bucket, prefix=prefix or None):
                for item in page:
                    yield Listed(item["path"], int(item["size"]), item["last_modified"])

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        import obstore

        with _told(name):
            try:
                obstore.delete(self._bucket, name)
            except FileNotFoundError:
                return

    def describe(self, name: str) -> str:
        """Return the object's URL."""
        return f"{self.url}/{name}"


class BucketWriter:
    """An object being uploaded in parts; S3 shows it only when the upload is completed."""

    def __init__(self, bucket: Any, name: str) -> None:
        import obstore

        self._name = name
        with _told(name):
            self._writer = obstore.open_writer(
                bucket, name, buffer_size=PART_BYTES, max_concurrency=2
            )
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, block: bytes) -> None:
        """Append bytes."""
        with _told(self._name):
            self._writer.write(block)
        self._hash.update(block)
        self._size += len(block)

    def commit(self) -> Stored:
        """Complete the upload; returns what was stored."""
        with _told(self._name):
            self._writer.close()
        return Stored(self._name, self._hash.hexdigest(), self._size)

    def abort(self) -> None:
        """Cancel the upload, so that its parts cost nothing; a bucket that is away keeps them."""
        if self._writer.closed():
            return
        with suppress(StoreUnavailable, ConfigError), _told(self._name):
            self._writer.__exit__(StoreUnavailable, StoreUnavailable("aborted"), None)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what the bucket refuses into an error that says who has to do what."""
    from obstore.exceptions import (
        BaseError,
        InvalidPathError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise ConfigError(
            f"artifact bucket: {name}: refused; check the AWS_* credentials and the bucket's rights"
        ) from error
    except InvalidPathError as error:
        raise ConfigError(f"artifact name {name!r} is none that a bucket takes") from error
    except FileNotFoundError as error:
        raise StoreUnavailable(f"artifact bucket: {name}: no such object or bucket") from error
    except (BaseError, OSError) as error:
        # Its text may hold a signed URL.
        raise StoreUnavailable(f"artifact bucket: {name}: {type(error).__name__}") from error
