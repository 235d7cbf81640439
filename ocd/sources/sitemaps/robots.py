"""Read robots.txt: where the sitemaps are, how long to pause, which pages are left alone."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urljoin

from protego import Protego

from ocd.core.errors import ContractBroken
from ocd.sources.sitemaps.fetch import Visit

#: What a reader must take at least (RFC 9309, 2.5); the rest is not read.
MAX_BYTES = 500 * 1024
#: Different sitemaps of one site; real ones name one, up to three times.
MAX_SITEMAPS = 10
#: The name by which a site may speak to us.
AGENT = "ocd"


@dataclass(frozen=True)
class Robots:
    """What a site asks of visitors; `url` is where it said so in the end."""

    url: str
    sitemaps: tuple[str, ...]
    delay_s: float
    rules: Protego

    def allows(self, url: str) -> bool:
        """Whether we may fetch a page."""
        return self.rules.can_fetch(url, AGENT)


def read(visit: Visit, origin: str) -> Robots:
    """Read the robots.txt of an origin such as `https://shop.example`; none there asks nothing.

    Raises like `Visit.opened` where the site does not answer: then nobody knows what it asks.
    """
    url = f"{origin}/robots.txt"
    try:
        with visit.opened(url) as answer:
            return parse(_text(answer.chunks), answer.url)
    except ContractBroken:
        return parse("", url)


def parse(text: str, url: str) -> Robots:
    """Return what a robots.txt at `url` says; lines that mean nothing are passed over."""
    rules = Protego.parse(text)
    named = tuple(dict.fromkeys(_absolute(rules.sitemaps, url)))
    return Robots(url, named[:MAX_SITEMAPS], float(rules.crawl_delay(AGENT) or 0.0), rules)


def _absolute(sitemaps: Iterable[str], url: str) -> Iterator[str]:
    for one in sitemaps:
        with suppress(ValueError):  # a line that holds no URL names no sitemap
            yield urljoin(url, one)


def _text(chunks: Iterator[bytes]) -> str:
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            body = body[:MAX_BYTES]
            break
    is_wide = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return body.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")
