"""Judge what a sitemap claims about a URL: its location and its last modification. Pure."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

#: The protocol's limit (sitemaps.org). Counted in bytes, so that the history's index can hold every one.
MAX_LOC_BYTES = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
#: Clocks differ; a claim further ahead than this is none.
_AHEAD = timedelta(days=1)
_RELATIVE = "location not absolute http(s)"
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_BLANK = re.compile(r"[\s\x00-\x20\x7f]")
_W3C = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII)


def host_key(parts: SplitResult) -> str:
    """Return host and non-default port, without `www.`: shops answer under both. Raises ValueError."""
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    port = parts.port
    return host if port in {None, DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{port}"


def canonical(raw: str, hosts: frozenset[str], warnings: Counter[str]) -> str | None:
    """Return the location in one spelling, None where it is not usable; counts what is odd by kind.

    `hosts` are the `host_key`s the site may speak for.
    """
    loc = raw.strip()
    if loc != raw and loc:
        warnings["location with white space around it"] += 1
    begin = _ORIGIN.match(loc)
    fault = _fault(loc, begin)
    if fault is None and begin is not None:
        origin = _origin(begin[0], hosts)
        rest, _, fragment = loc[begin.end() :].partition("#")
        if origin.fault is None:
            if origin.has_default_port:
                warnings["location with the default port"] += 1
            if fragment:
                warnings["location with a fragment"] += 1
            return origin.spelling + rest
        fault = origin.fault
    warnings[fault or _RELATIVE] += 1
    return None


def _fault(loc: str, begin: re.Match[str] | None) -> str | None:
    """Return what makes a location unusable whatever its host, in words."""
    if not loc:
        return "empty location"
    if len(loc) >= MAX_LOC_BYTES or (not loc.isascii() and len(loc.encode()) >= MAX_LOC_BYTES):
        return "location too long"
    if _BLANK.search(loc):
        return "location with white space inside"
    return _RELATIVE if begin is None else None


class _Origin(NamedTuple):
    """What is known about a location's beginning, `https://host:port`."""

    spelling: str
    has_default_port: bool = False
    fault: str | None = None


@lru_cache(maxsize=256)
def _origin(origin: str, hosts: frozenset[str]) -> _Origin:
    # Cached: a site's locations share one or two, and taking a URL apart is what costs time.
    try:
        parts = urlsplit(origin)
        key = host_key(parts)
    except ValueError:
        return _Origin("", fault="location is no URL")
    if not parts.hostname:
        return _Origin("", fault=_RELATIVE)
    if "@" in parts.netloc:
        return _Origin("", fault="location with credentials")
    if key not in hosts:
        return _Origin("", fault="location on another host")
    netloc, port = parts.netloc.lower(), parts.port
    if port == DEFAULT_PORTS[parts.scheme]:
        return _Origin(f"{parts.scheme}://{netloc.removesuffix(f':{port}')}", has_default_port=True)
    return _Origin(f"{parts.scheme}://{netloc}")


def lastmod(raw: str | None, now: datetime, warnings: Counter[str]) -> datetime | None:
    """Return the instant of a W3C datetime (a date, or a time with zone); None where it is none.

    A date alone means its start in UTC. Also None for a claim about the future.
    """
    if raw is None:
        return None
    text = raw.strip()
    if not _W3C.fullmatch(text):
        warnings["lastmod is no W3C datetime"] += 1
        return None
    try:
        found = datetime.fromisoformat(text + "-01-01"[len(text) - 4 :] if len(text) < 10 else text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        warnings["lastmod is no W3C datetime"] += 1
        return None
    if found > now + _AHEAD:
        warnings["lastmod in the future"] += 1
        return None
    return found


def w3c_of_rfc822(raw: str | None) -> str | None:
    """Return an RSS date as a W3C datetime; one that is none stays as it is, to be judged as such."""
    try:
        return parsedate_to_datetime(raw.strip()).isoformat() if raw else raw
    except (ValueError, TypeError):
        return raw
