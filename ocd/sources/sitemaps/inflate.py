"""Unpack gzip by its magic bytes, in bounded pieces: one layer, any number of members."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from ocd.core.errors import ContractBroken

#: Uncompressed bytes per file that the protocol allows (sitemaps.org, 50 MB).
MAX_BYTES = 50 * 1024 * 1024
#: Real sitemaps shrink 10 to 40 times; a bomb a thousand times.
MAX_RATIO = 200
_MAGIC = b"\x1f\x8b"
_PIECE = 64 * 1024


def inflated(chunks: Iterable[bytes], *, max_ratio: float = MAX_RATIO) -> Iterator[bytes]:
    """Yield the plain bytes of a gzipped or plain file; raises ContractBroken for damaged or too large ones."""
    plain = _unpacked(chunks, max_ratio)
    first = _leading(plain, 2)
    if first.startswith(_MAGIC):
        raise ContractBroken("sitemap: gzip inside gzip")
    size = 0
    for piece in chain([first], plain):
        size += len(piece)
        if size > MAX_BYTES:
            raise ContractBroken(f"sitemap: more than {MAX_BYTES // 2**20} MiB uncompressed")
        yield piece


def _unpacked(chunks: Iterable[bytes], max_ratio: float) -> Iterator[bytes]:
    # What the first bytes say counts: names and content types of gzipped sitemaps are often wrong.
    iterator = iter(chunks)
    first = _leading(iterator, 2)
    if first.startswith(_MAGIC):
        yield from _members(chain([first], iterator), max_ratio)
    else:
        yield first
        yield from iterator


def _leading(iterator: Iterator[bytes], size: int) -> bytes:
    """Return the first chunks joined until there are `size` bytes, or all there are."""
    first = b""
    while len(first) < size:
        more = next(iterator, None)
        if more is None:
            break
        first += more
    return first


def _members(chunks: Iterable[bytes], max_ratio: float) -> Iterator[bytes]:
    unpacker: zlib._Decompress | None = None
    size_in = size_out = 0
    rest = b""
    for chunk in chunks:
        size_in += len(chunk)
        rest += chunk
        while rest and (unpacker is not None or len(rest) >= len(_MAGIC)):
            unpacker = unpacker or _next_member(rest)
            if unpacker is None:
                return
            piece, rest = _step(unpacker, rest)
            size_out += len(piece)
            if size_out > max_ratio * max(size_in, 4096):
                raise ContractBroken("sitemap: gzip expands beyond any real sitemap")
            if piece:
                yield piece
            if unpacker.eof:
                unpacker = None
    if unpacker is not None or rest.strip(b"\0"):
        raise ContractBroken("sitemap: truncated gzip")


def _next_member(rest: bytes) -> zlib._Decompress | None:
    """Return an unpacker for the member that starts here; None for zero padding, which ends the file."""
    if rest.startswith(_MAGIC):
        return zlib.decompressobj(wbits=31)
    if rest.startswith(b"\0\0"):
        return None
    raise ContractBroken("sitemap: gzip followed by something else")


def _step(unpacker: zlib._Decompress, rest: bytes) -> tuple[bytes, bytes]:
    try:
        piece = unpacker.decompress(rest, _PIECE)
    except zlib.error:
        raise ContractBroken("sitemap: damaged gzip") from None
    return piece, unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
