"""Bytes that grow out of real sitemaps; the reader has to read or refuse each in no time."""

from __future__ import annotations

import gzip
import random
import time
from contextlib import suppress

from ocd.core.errors import OcdError
from ocd.sources.sitemaps import reader
from tests.factories.clock import NOW

#: No input of this size takes longer.
MAX_READ_S = 5.0


def read(body: bytes) -> None:
    """Read one body; only errors of ours may come out."""
    hosts = frozenset({"shop.example"})
    with suppress(OcdError):
        reader.read([body], lambda _: None, hosts=hosts, now=NOW)


def noise(seeds: list[bytes], *, seconds: float, seed: int) -> tuple[int, list[str]]:
    """Read mutations of the seeds until the time is over; returns how many, and what took too long."""
    dice, until, count, wrong = random.Random(seed), time.monotonic() + seconds, 0, []
    while time.monotonic() < until:
        body, started = _mutated(dice, seeds), time.monotonic()
        read(body)
        count += 1
        if time.monotonic() - started > MAX_READ_S:
            wrong.append(
                f"{len(body)} bytes took {time.monotonic() - started:.1f} s: {body[:80]!r}"
            )
    return count, wrong


def _mutated(dice: random.Random, seeds: list[bytes]) -> bytes:
    body = bytearray(dice.choice(seeds)[: dice.choice((200, 2_000, 20_000))])
    for _ in range(dice.randint(1, 8)):
        at = dice.randint(0, max(len(body) - 1, 0))
        other = dice.choice(seeds)
        from_ = dice.randint(0, max(len(other) - 1, 0))
        piece = other[from_ : from_ + dice.randint(0, 60)]
        kind = dice.randint(0, 3)
        if kind == 0:
            body[at : at + len(piece)] = piece
        elif kind == 1:
            del body[at : at + dice.randint(1, 60)]
        elif kind == 2:
            body[at:at] = piece * dice.randint(1, 50)
        elif body:
            body[at] = dice.randint(0, 255)
    return gzip.compress(bytes(body)) if dice.random() < 0.2 else bytes(body)
