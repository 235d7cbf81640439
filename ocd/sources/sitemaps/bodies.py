"""Copies of what a site sent: gzipped, named after their content, so that one is kept once."""

from __future__ import annotations

import hashlib
import math
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO

from ocd.core.store import Store, Stored
from ocd.sources.sitemaps.inflate import inflated

#: A copy is held in memory up to this size, beyond it in a file of the system's.
_MAX_MEMORY = 256 * 1024
_BLOCK = 256 * 1024


def name_of(sha256: str) -> str:
    """Return where the copy of a body lies."""
    return f"sitemaps/bodies/{sha256[:2]}/{sha256}.gz"


class Copy:
    """A copy being made of a body that somebody else reads; `close` it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._packer = zlib.compressobj(wbits=31)
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_MAX_MEMORY)  # noqa: SIM115 - `close`

    @property
    def sha256(self) -> str:
        """Hash of the plain body, once it was read to its end."""
        return self._hash.hexdigest()

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Hand the plain chunks on, and keep them."""
        for chunk in chunks:
            self._hash.update(chunk)
            self._file.write(self._packer.compress(chunk))
            yield chunk
        self._file.write(self._packer.flush())

    def put(self, store: Store) -> Stored:
        """Write the copy into the store."""
        self._file.seek(0)
        writer = store.create(name_of(self.sha256))
        while block := self._file.read(_BLOCK):
            writer.write(block)
        return writer.commit()

    def close(self) -> None:
        """Forget it."""
        self._file.close()


def is_kept(store: Store, sha256: str) -> bool:
    """Whether the copy of a body is still there."""
    return store.size(name_of(sha256)) is not None


def plain(store: Store, sha256: str) -> Iterator[bytes]:
    """Yield a kept body, unpacked."""
    # It was let in once; a site that sends blanks plainly packs better than any bomb.
    return inflated(store.open(name_of(sha256)), max_ratio=math.inf)
