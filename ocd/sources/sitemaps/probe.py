"""Try a sitemap's settings step by step: what answers, and what is missing. Stores nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from ocd.core.errors import OcdError
from ocd.sources.sitemaps import guard, reader, robots
from ocd.sources.sitemaps.fetch import Visit
from ocd.sources.sitemaps.location import host_key
from ocd.sources.sitemaps.site import site_of


@dataclass(frozen=True)
class Step:
    """One thing that was tried, and what came of it; `said` says what to do where it went wrong."""

    name: str
    is_ok: bool
    said: str


def probe(site_url: str | None, allow_hosts: tuple[str, ...], *, now: datetime) -> tuple[Step, ...]:
    """Try setting, address, robots.txt and the first sitemap, up to the first that does not work."""
    found: list[Step] = []
    steps = _steps(site_url, allow_hosts, now)
    while True:
        try:
            found.append(next(steps))
        except StopIteration:
            return tuple(found)
        except OcdError as error:
            names = ("setting", "address", "robots.txt", "sitemap")
            return (*found, Step(names[len(found)], is_ok=False, said=error.message))


def _steps(site_url: str | None, allow_hosts: tuple[str, ...], now: datetime) -> Iterator[Step]:
    if site_url is None:
        yield Step("setting", is_ok=False, said="set OCD_SITEMAP_URL to the shop's address")
        return
    yield Step("setting", is_ok=True, said=f"OCD_SITEMAP_URL names {site_of(site_url)}")
    target = guard.check(site_url, allow_hosts)
    yield Step("address", is_ok=True, said=f"{target.authority} is {target.address}")
    with Visit(allow_hosts, now) as visit:
        asked = robots.read(visit, f"{target.scheme}://{target.authority}")
        visit.delay_s = asked.delay_s
        said = f"{len(asked.sitemaps)} sitemaps named, {asked.delay_s:g} s between requests"
        yield Step("robots.txt", is_ok=True, said=said)
        is_named = bool(urlsplit(site_url).path.rstrip("/"))
        fallback = f"{target.scheme}://{target.authority}/sitemap.xml"
        top = site_url if is_named else (asked.sitemaps or (fallback,))[0]
        with visit.opened(top) as answer:
            hosts = frozenset(host_key(urlsplit(one)) for one in (site_url, answer.url))
            parsed = reader.read(answer.chunks, lambda _: None, hosts=hosts, now=now)
    holds = f"{len(parsed.children)} files" if parsed.is_index else f"{parsed.url_count:,} URLs"
    yield Step("sitemap", is_ok=True, said=f"{top} holds {holds}")
