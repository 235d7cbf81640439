"""Fetch a few of a sitemap's pages, other ones each day, to see whether they are really there."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ocd.core.errors import OcdError
from ocd.sources.sitemaps.fetch import Answer, Visit
from ocd.sources.sitemaps.pages import Page, Verdict, judge, page_of
from ocd.sources.sitemaps.robots import Robots

#: Bytes of a page that are looked at; what it says of itself stands at its beginning.
MAX_PAGE_BYTES = 512 * 1024


@dataclass(frozen=True)
class Sampled:
    """A page that was looked at; `http_status` is None where it did not answer."""

    loc: str
    verdict: Verdict
    http_status: int | None
    reason: str


def sample(visit: Visit, robots: Robots, locs: Iterable[str], *, count: int) -> tuple[Sampled, ...]:
    """Fetch up to `count` pages that robots.txt allows. Never fails: no answer is a verdict, too."""
    chosen = list(_chosen(robots, locs, f"{visit.now:%Y-%m-%d}", count))
    if not chosen:
        return ()
    nowhere = _nowhere(visit, chosen[0])
    return tuple(_look(visit, loc, nowhere) for loc in chosen)


def _chosen(robots: Robots, locs: Iterable[str], day: str, count: int) -> Iterator[str]:
    allowed = (loc for loc in locs if robots.allows(loc))
    # By hash: the same ones when the run is tried again, other ones tomorrow.
    yield from heapq.nsmallest(
        count, allowed, key=lambda loc: hashlib.sha256(f"{day} {loc}".encode()).digest()
    )


def _nowhere(visit: Visit, loc: str) -> Page | None:
    """Return how the site answers for an address that nobody made."""
    parts = urlsplit(loc)
    name = hashlib.sha256(f"{visit.now} {parts.netloc}".encode()).hexdigest()[:16]
    try:
        return _fetched(visit, f"{parts.scheme}://{parts.netloc}/no-such-page-{name}")
    except OcdError:
        return None


def _look(visit: Visit, loc: str, nowhere: Page | None) -> Sampled:
    try:
        page = _fetched(visit, loc)
    except OcdError as error:
        return Sampled(loc, Verdict.UNREACHABLE, None, type(error).__name__)
    verdict, reason = judge(loc, page, nowhere)
    return Sampled(loc, verdict, page.status, reason)


def _fetched(visit: Visit, loc: str) -> Page:
    with visit.asked(loc) as answer:
        is_html = answer.headers.get("content-type", "text/html").startswith("text/html")
        is_plain = answer.headers.get("content-encoding", "identity") == "identity"
        if answer.status != 200 or not is_html or not is_plain:
            return Page(answer.url, answer.status)
        return page_of(answer.url, 200, _beginning(answer).decode("utf-8", errors="replace"))


def _beginning(answer: Answer) -> bytes:
    body = b""
    for chunk in answer.chunks:
        body += chunk
        if len(body) >= MAX_PAGE_BYTES:
            break
    return body[:MAX_PAGE_BYTES]
