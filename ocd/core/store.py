"""The artifact store: files under names people can find, on a folder or an S3-compatible bucket.

Objects are written once, under `<name>.partial` on folders until they are complete, with mode 600.
The store knows bytes and names; what an artifact means, and when it expires, stands in the ledger.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ocd.core.errors import ConfigError, StoreUnavailable


@dataclass(frozen=True)
class Stored:
    """What was written: name, SHA-256 of the stored bytes (hex), size."""

    name: str
    sha256: str
    size_bytes: int


class Store(Protocol):
    """Where artifacts lie. Every method raises StoreUnavailable when the place cannot serve."""

    def put(self, name: str, content: bytes) -> Stored:
        """Write a small object whole; an existing one is replaced atomically."""
        ...

    def create(self, name: str) -> Writer:
        """Open a large object for writing; it exists only after `commit`."""
        ...

    def open(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes, or a range of them, in blocks."""
        ...

    def size(self, name: str) -> int | None:
        """Return the object's size in bytes, None where there is none."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        ...

    def describe(self, name: str) -> str:
        """Return where a person finds it."""
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

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Return the file of `name`; raises ConfigError for a name that leaves the folder."""
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ConfigError(f"artifact name {name!r} leaves the store")
        return path

    def put(self, name: str, content: bytes) -> Stored:
        """Write a small object whole; an existing one is replaced atomically."""
        writer = self.create(name)
        writer.write(content)
        return writer.commit()

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

    def size(self, name: str) -> int | None:
        """Return the object's size in bytes, None where there is none."""
        path = self.path(name)
        return path.stat().st_size if path.exists() else None

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted; unfinished ones included."""
        files = (file for file in self.path(prefix).rglob("*") if file.is_file())
        return sorted(str(file.relative_to(self.root.resolve())) for file in files)

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        with _told(name):
            self.path(name).unlink(missing_ok=True)

    def describe(self, name: str) -> str:
        """Return the file's path."""
        return str(self.path(name))


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

    def commit(self) -> Stored:
        """Flush to disk and take the final name; returns what was stored."""
        try:
            with _told(self._name):
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._partial.replace(self._path)
                _sync_folder(self._path.parent)
        except StoreUnavailable:
            self.abort()
            raise
        return Stored(self._name, self._hash.hexdigest(), self._size)

    def abort(self) -> None:
        """Close and remove the partial file."""
        with suppress(OSError):  # the buffer that did not fit is what we are throwing away
            self._file.close()
        self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self._path.with_name(self._path.name + ".partial")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BucketStore:
    """Artifacts in an S3-compatible bucket, through obstore."""

    def __init__(self, url: str) -> None:
        from obstore.store import from_url

        self.url = url.rstrip("/")
        self._bucket = from_url(self.url)

    def put(self, name: str, content: bytes) -> Stored:
        """Write a small object whole; an existing one is replaced atomically."""
        import obstore

        with _bucket_told(name):
            obstore.put(self._bucket, name, content)
        return Stored(name, hashlib.sha256(content).hexdigest(), len(content))

    def create(self, name: str) -> BucketWriter:
        """Open a large object for writing; it exists only after `commit`."""
        import obstore

        with _bucket_told(name):
            return BucketWriter(name, obstore.open_writer(self._bucket, name))

    def open(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes, or a range of them, in blocks."""
        import obstore

        with _bucket_told(name):
            end = self.size(name) if length is None else offset + length
            while end is not None and offset < end:
                step = min(BLOCK * 16, end - offset)
                yield bytes(obstore.get_range(self._bucket, name, start=offset, length=step))
                offset += step

    def size(self, name: str) -> int | None:
        """Return the object's size in bytes, None where there is none."""
        import obstore

        with _bucket_told(name):
            try:
                return int(obstore.head(self._bucket, name)["size"])
            except FileNotFoundError:
                return None

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted."""
        import obstore

        with _bucket_told(prefix):
            pages = obstore.list(self._bucket, prefix=prefix)
            return sorted(item["path"] for page in pages for item in page)

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        import obstore

        with _bucket_told(name):
            obstore.delete(self._bucket, name)

    def describe(self, name: str) -> str:
        """Return the object's URL."""
        return f"{self.url}/{name}"


class BucketWriter:
    """An object being uploaded in parts; S3 shows it only when the upload is completed."""

    def __init__(self, name: str, writer: object) -> None:
        self._name, self._writer = name, writer
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, block: bytes) -> None:
        """Append bytes."""
        with _bucket_told(self._name):
            self._writer.write(block)  # type: ignore[attr-defined]
        self._hash.update(block)
        self._size += len(block)

    def commit(self) -> Stored:
        """Complete the upload; returns what was stored."""
        with _bucket_told(self._name):
            self._writer.close()  # type: ignore[attr-defined]
        return Stored(self._name, self._hash.hexdigest(), self._size)

    def abort(self) -> None:
        """Leave the upload incomplete; the bucket's lifecycle rule clears it."""
        self._writer = None


@contextmanager
def _bucket_told(name: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        raise StoreUnavailable(f"artifact bucket: {name}: {type(error).__name__}") from error


def open_store(location: str) -> FolderStore | BucketStore:
    """Open the store at a folder or an s3:// URL."""
    if "://" in location:
        return BucketStore(location)
    return FolderStore(Path(location))
