"""Encryption at rest with age: who writes holds public keys only, and cannot read what others wrote.

A layer over a store. What `create` writes is encrypted on the way, in bounded memory, and `open` decrypts it;
what `put` writes (manifests, reports: no rows) stays readable. The format is age's own, so that the `age`
command reads it without us. Every store makes a key pair of its own in memory as one more recipient: what this
process wrote it can read back, which a purge must; nobody else ever has that key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

from ocd.core.errors import ConfigError, ContractBroken
from ocd.core.store import AGE_MAGIC, Listed, Store, Stored, Writer

#: Blocks that wait between the two threads of a stream; each is a quarter of a megabyte or so.
_AHEAD = 4


class SealedStore:
    """A store whose rows are encrypted for `recipients`, and read with the identities of a file."""

    def __init__(
        self, inner: Store, recipients: tuple[str, ...], identity_file: Path | None
    ) -> None:
        age = _age()
        self._inner = inner
        self.sealed_for = recipients
        own = age.x25519.Identity.generate()
        self._recipients = [*(_recipient(key) for key in recipients), own.to_public()]
        self._identities = [own, *(_identities(identity_file) if identity_file else ())]

    def put(self, name: str, content: bytes, *, is_new: bool = False) -> Stored:
        """Write a small object without rows, readable for everybody who reads the store."""
        return self._inner.put(name, content, is_new=is_new)

    def create(self, name: str) -> Writer:
        """Open a large object for writing, encrypted; it exists only after `commit`."""
        if not self.sealed_for:
            return self._inner.create(name)
        return _SealingWriter(self._inner.create(name), self._recipients)

    def open(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object as it was written, or a range of it, in blocks."""
        return _cut(self.unseal(self._inner.open_stored(name)), offset, length)

    def open_stored(self, name: str) -> Iterator[bytes]:
        """Yield the stored bytes in blocks; needs no key."""
        return self._inner.open_stored(name)

    def unseal(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what was written; objects from before encryption was on pass as they are.

        Raises ConfigError where none of our keys fits, ContractBroken where the bytes are damaged.
        """
        first = next(blocks, b"")
        stored = _joined(first, blocks)
        if not first.startswith(AGE_MAGIC):
            return stored
        return _opened(stored, self._identities)

    def size(self, name: str) -> int | None:
        """Return the number of stored bytes, None where there is no such object."""
        return self._inner.size(name)

    def list(self, prefix: str) -> list[str]:
        """Return the names below a folder-like prefix, sorted."""
        return self._inner.list(prefix)

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Yield what lies below a folder-like prefix."""
        return self._inner.listing(prefix)

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
        self._inner.delete(name)

    def describe(self, name: str) -> str:
        """Return where a person finds it."""
        return self._inner.describe(name)

    def probe(self) -> str:
        """Try what we need of the place; returns in words what it can do."""
        reads = "read" if len(self._identities) > 1 else "not read"
        return (
            f"{self._inner.probe()}; rows encrypted for {len(self.sealed_for)} keys, {reads} here"
        )


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _cut(blocks: Iterator[bytes], offset: int, length: int | None) -> Iterator[bytes]:
    """Yield a range of a stream: age's format allows no jumps through this library."""
    end = None if length is None else offset + length
    at = 0
    for block in blocks:
        part = block[max(0, offset - at) : None if end is None else max(0, end - at)]
        at += len(block)
        if part:
            yield part
        if end is not None and at >= end:
            return


class _Stopped(Exception):
    """The other end of a stream is gone."""


class _Stream:
    """Blocks from one thread to another, a few at a time; also the file that age reads from or writes to."""

    def __init__(self) -> None:
        self._queue: Queue[bytes | None] = Queue(_AHEAD)
        self._is_stopped = threading.Event()
        self._left = memoryview(b"")

    def write(self, block: bytes) -> int:
        """Hand a block on; waits while enough are under way."""
        if block:
            self._put(bytes(block))
        return len(block)

    def close(self) -> None:
        """Say that nothing more comes."""
        self._put(None)

    def flush(self) -> None:
        """Nothing is held back."""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; empty at the end."""
        if not self._left:
            self._left = memoryview(self._queue.get() or b"")
        found = bytes(self._left[:size])
        self._left = self._left[size:]
        if not found and self._is_stopped.is_set():
            raise _Stopped
        return found

    def blocks(self) -> Iterator[bytes]:
        """Yield block after block until the end."""
        while block := self._queue.get():
            yield block

    def stop(self) -> None:
        """Let go whoever waits at the other end; it fails there."""
        self._is_stopped.set()
        with suppress(Exception):
            while not self._queue.empty():
                self._queue.get_nowait()
        with suppress(Exception):
            self._queue.put_nowait(None)

    def _put(self, block: bytes | None) -> None:
        if self._is_stopped.is_set():
            raise _Stopped
        self._queue.put(block)


class _SealingWriter:
    """Encrypts in a thread of its own: age pulls what it encrypts, and we are handed blocks to write."""

    def __init__(self, inner: Writer, recipients: list[Any]) -> None:
        self._inner = inner
        self._plain = _Stream()
        self._error: BaseException | None = None
        age, target = _age(), _Target(inner)
        self._thread = _started(
            lambda: age.encrypt_io(self._plain, target, recipients),
            lambda error: self._failed(target.error or error),
        )

    def write(self, block: bytes) -> None:
        """Append bytes."""
        with suppress(_Stopped):
            self._plain.write(block)
        self._raise_failure()

    def commit(self) -> Stored:
        """Make the object visible under its name; returns what was stored."""
        with suppress(_Stopped):
            self._plain.close()
        self._thread.join()
        self._raise_failure()
        return self._inner.commit()

    def abort(self) -> None:
        """Forget it."""
        self._plain.stop()
        self._thread.join()
        self._inner.abort()

    def _failed(self, error: BaseException) -> None:
        self._error = error
        self._plain.stop()

    def _raise_failure(self) -> None:
        if self._error is not None:
            self._inner.abort()
            raise self._error


class _Target:
    """What age writes to: a writer of the store. Its error is kept, since age tells another."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.error: BaseException | None = None

    def write(self, block: bytes) -> int:
        """Append bytes to the object."""
        try:
            self._writer.write(bytes(block))
        except BaseException as error:
            self.error = error
            raise
        return len(block)

    def flush(self) -> None:
        """Nothing is held back."""


class _Source:
    """What age reads from: stored blocks, handed out as it asks. Their error is kept, since age tells another."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; empty at the end."""
        try:
            if not self._left:
                self._left = memoryview(next(self._blocks, b""))
        except BaseException as error:
            self.error = error
            raise
        found = bytes(self._left[:size])
        self._left = self._left[size:]
        return found


def _opened(stored: Iterator[bytes], identities: list[Any]) -> Iterator[bytes]:
    """Decrypt in a thread of its own, a few blocks ahead."""
    age, source, plain = _age(), _Source(stored), _Stream()
    errors: list[BaseException] = []

    def deed() -> None:
        age.decrypt_io(source, plain, identities)
        plain.close()

    def failed(error: BaseException) -> None:
        errors.append(source.error or _told(error))
        with suppress(_Stopped):
            plain.close()

    thread = _started(deed, failed)
    try:
        yield from plain.blocks()
    finally:
        plain.stop()
        thread.join()
    if errors:
        raise errors[0]


def _told(error: BaseException) -> BaseException:
    if "matching" in str(error):
        return ConfigError(
            "encrypted for other keys than the ones at hand: set OCD_AGE_IDENTITY_FILE to a file with the right one"
        )
    return ContractBroken("damaged: it does not decrypt")


def _started(
    deed: Callable[[], object], failed: Callable[[BaseException], None]
) -> threading.Thread:
    def run() -> None:
        try:
            deed()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            failed(error)

    thread = threading.Thread(target=run, name="age", daemon=True)
    thread.start()
    return thread


def _age() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise ConfigError(
            "encryption needs the crypto extra: pip install 'ocd[crypto]', or unset OCD_AGE_RECIPIENTS"
        ) from error
    return pyrage


def _recipient(key: str) -> Any:
    age = _age()
    try:
        return age.x25519.Recipient.from_str(key)
    except age.RecipientError as error:
        raise ConfigError("OCD_AGE_RECIPIENTS: one of them is no public age key") from error


def _identities(file: Path) -> list[Any]:
    age = _age()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"OCD_AGE_IDENTITY_FILE: {file}: {error.strerror}") from error
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        return [age.x25519.Identity.from_str(key) for key in keys]
    except age.IdentityError as error:
        raise ConfigError(f"OCD_AGE_IDENTITY_FILE: {file}: it holds no age private key") from error
