"""The artifact store: files under names people can find, on a folder or an S3-compatible bucket.

Objects are written once, under `<name>.partial` on folders until they are complete, with mode 600.
The store knows bytes and names; what an artifact means, and when it expires, stands in the ledger.
Encryption is a layer of its own, see `ocd.core.sealed`; the store of a bucket is in `ocd.core.bucket`.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from ocd.core.errors import ConfigError, ContractBroken, StoreUnavailable


@dataclass(frozen=True)
class Stored:
    """What was written: name, SHA-256 of the stored bytes (hex), size."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Listed:
    """An object that lies in the store, since when."""

    name: str
    size_bytes: int
    modified_at: datetime


class Store(Protocol):
    """Where artifacts lie. Every method raises StoreUnavailable when the place cannot serve.

    `create` is for rows, `put` for small objects without any: manifests, reports. What `create` wrote may be
    encrypted; `open` and `unseal` give back what was written, `open_stored` what lies there.
    """

    @property
    def sealed_for(self) -> tuple[str, ...]:
        """Public keys that what `create` writes is encrypted for; empty: it is not encrypted."""
        ...

    def put(self, name: str, content: bytes, *, is_new: bool = False) -> Stored:
        """Write a small object whole and atomically; an existing one is replaced.

        `is_new`: raises ContractBroken where one of that name exists already, and leaves it as it is.
        """
        ...

    def create(self, name: str) -> Writer:
        """Open a large object for writing; it exists only after `commit`."""
        ...

    def open(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object as it was written, or a range of it, in blocks."""
        ...

    def open_stored(self, name: str) -> Iterator[bytes]:
        """Yield the stored bytes in blocks; needs no key."""
        ...

    def unseal(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what was written, given the stored bytes.

        Raises ContractBroken where they are damaged, ConfigError where the key is not at hand.
        """
        ...

    def size(self, name: str) -> int | None:
        """Return the number of stored bytes, None where there is no such object."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted."""
        ...

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Yield what lies below a folder-like prefix, in no order, however much it is."""
        ...

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        ...

    def describe(self, name: str) -> str:
        """Return where a person finds it."""
        ...

    def probe(self) -> str:
        """Try what we need of the place; returns in words what it can do."""
        ...


class Writer(Protocol):
    """A large object being written."""

    def write(self, block: bytes) -> None:
        """Append bytes."""
        ...

    def commit(self) -> Stored:
        """Make the object visible under its name; returns what was stored."""
        ...

    def abort(self) -> None:
        """Forget it."""
        ...


BLOCK = 256 * 1024


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn the system's refusals into StoreUnavailable with what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StoreUnavailable(
                f"artifact store is full while writing {what}; free space or set OCD_ARTIFACT_URL to a larger place"
            ) from error
        raise StoreUnavailable(
            f"artifact store: {what}: {os.strerror(error.errno or 0)}"
        ) from error


class FolderStore:
    """Artifacts in a local folder: directories mode 700, files mode 600."""

    sealed_for: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Return the file of `name`; raises ConfigError for a name that leaves the folder."""
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ConfigError(f"artifact name {name!r} leaves the store")
        return path

    def put(self, name: str, content: bytes, *, is_new: bool = False) -> Stored:
        """Write a small object whole; an existing one is replaced atomically, unless it `is_new`."""
        writer = self.create(name)
        writer.write(content)
        return writer.commit(is_new=is_new)

    def create(self, name: str) -> FolderWriter:
        """Open a large object for writing; it exists only after `commit`."""
        path = self.path(name)
        with _told(name):
            self._make_folders(path.parent)
            descriptor = os.open(
                path.with_name(path.name + ".partial"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
            )
        return FolderWriter(name, path, os.fdopen(descriptor, "wb"))

    def _make_folders(self, folder: Path) -> None:
        """Create what is missing from the root down, each for its owner only."""
        for missing in [one for one in (folder, *folder.parents) if not one.exists()][::-1]:
            missing.mkdir(mode=0o700, exist_ok=True)

    def open(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes, or a range of them, in blocks."""
        with _told(name), self.path(name).open("rb") as file:
            file.seek(offset)
            left = length
            while left is None or left > 0:
                block = file.read(BLOCK if left is None else min(BLOCK, left))
                if not block:
                    return
                if left is not None:
                    left -= len(block)
                yield block

    def open_stored(self, name: str) -> Iterator[bytes]:
        """Yield the stored bytes in blocks."""
        return self.open(name)

    def unseal(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks as they are."""
        return refuse_sealed(blocks)

    def size(self, name: str) -> int | None:
        """Return the object's size in bytes, None where there is none."""
        path = self.path(name)
        return path.stat().st_size if path.exists() else None

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted; unfinished ones included."""
        files = (file for file in self.path(prefix).rglob("*") if file.is_file())
        return sorted(str(file.relative_to(self.root.resolve())) for file in files)

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Yield what lies below a folder-like prefix, in no order; unfinished ones included."""
        root = self.root.resolve()
        for file in self.path(prefix).rglob("*"):
            with suppress(FileNotFoundError):  # removed meanwhile
                found = file.stat()
                if file.is_file():
                    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield Listed(str(file.relative_to(root)), found.st_size, modified_at)

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        with _told(name):
            self.path(name).unlink(missing_ok=True)

    def describe(self, name: str) -> str:
        """Return the file's path."""
        return str(self.path(name))

    def probe(self) -> str:
        """Write and delete a small file; returns where."""
        self.delete(self.put("check/write-test", b"ok").name)
        return f"takes files at {self.root}"


class FolderWriter:
    """A file being written beside its final name."""

    def __init__(self, name: str, path: Path, file: BinaryIO) -> None:
        self._name, self._path, self._file = name, path, file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, block: bytes) -> None:
        """Append bytes; on failure the partial file is removed."""
        try:
            with _told(self._name):
                self._file.write(block)
        except StoreUnavailable:
            self.abort()
            raise
        self._hash.update(block)
        self._size += len(block)

    def commit(self, *, is_new: bool = False) -> Stored:
        """Flush to disk and take the final name; returns what was stored."""
        try:
            with _told(self._name):
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._take_name(is_new=is_new)
                _sync_folder(self._path.parent)
        except StoreUnavailable:
            self.abort()
            raise
        return Stored(self._name, self._hash.hexdigest(), self._size)

    def _take_name(self, *, is_new: bool) -> None:
        if not is_new:
            self._partial.replace(self._path)
            return
        try:
            os.link(self._partial, self._path)  # unlike a rename it never replaces
        except FileExistsError as error:
            raise ContractBroken(f"{self._name}: exists already") from error
        finally:
            self._partial.unlink()

    def abort(self) -> None:
        """Close and remove the partial file."""
        with suppress(OSError):  # the buffer that did not fit is what we are throwing away
            self._file.close()
        self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self._path.with_name(self._path.name + ".partial")


#: How what age encrypted begins.
AGE_MAGIC = b"age-encryption.org/"


def refuse_sealed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks of an object that is not encrypted; raises ConfigError for one that is."""
    for number, block in enumerate(blocks):
        if number == 0 and block.startswith(AGE_MAGIC):
            raise ConfigError(
                "this object is encrypted: set OCD_AGE_IDENTITY_FILE where it is to be read"
            )
        yield block


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_store(
    location: str, *, recipients: tuple[str, ...] = (), identity_file: Path | None = None
) -> Store:
    """Open the store at a folder or an s3:// URL.

    `recipients`: age public keys that rows are encrypted for. `identity_file`: the private keys, where this
    process shall be able to read them.
    """
    store: Store
    if "://" in location:
        from ocd.core.bucket import BucketStore

        store = BucketStore(location)
    else:
        store = FolderStore(Path(location))
    if not recipients and identity_file is None:
        return store
    from ocd.core.sealed import SealedStore

    return SealedStore(store, recipients, identity_file)
