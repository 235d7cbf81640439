"""Visit a site with manners: addresses checked and pinned at every hop, bounded in bytes and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Self
from urllib.parse import urljoin

import httpx

from ocd.core.errors import ContractBroken, PolicyRefused, QuotaExhausted, SourceUnavailable
from ocd.sources.sitemaps import guard

MAX_REDIRECTS = 5
#: Bytes on the wire and seconds for a whole visit, all its files included.
MAX_BYTES = 200 * 1024 * 1024
MAX_SECONDS = 300.0
#: A wait that a site may ask for between two requests; longer ones are shortened to this.
MAX_DELAY_S = 60.0
#: A later hour than this is not worth keeping a run waiting for.
MAX_RETRY_AFTER_S = 6 * 3600.0
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
_NO_COOKIES = DefaultCookiePolicy(allowed_domains=())
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429}


@dataclass
class Budget:
    """What one visit may still read."""

    bytes_left: int = MAX_BYTES
    seconds: float = field(default_factory=lambda: MAX_SECONDS)
    timeout: httpx.Timeout = field(default_factory=lambda: TIMEOUT)
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    def spend(self, size: int) -> None:
        """Take `size` bytes off; raises when bytes or time are used up."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise ContractBroken("sitemap: more bytes than any real one")
        if time.monotonic() > self._until:
            raise SourceUnavailable(f"sitemap: not read within {self.seconds:.0f} s")

    def forgive(self, seconds: float) -> None:
        """Leave out time that the site itself asked us to wait."""
        self._until += seconds


@dataclass(frozen=True)
class Known:
    """How a site can tell that a file is as it was: what it said with the copy that we have."""

    etag: str | None
    last_modified: str | None

    def headers(self) -> dict[str, str]:
        """Return the headers that make the request conditional."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class Answer:
    """An answer: its status, where it came from in the end, its body in chunks as they arrive."""

    url: str
    status: int
    headers: httpx.Headers
    chunks: Iterator[bytes]


@dataclass
class Visit:
    """One visit: a budget, one connection per host, and the pause that the site asks for."""

    allow_hosts: tuple[str, ...]
    now: datetime
    budget: Budget = field(default_factory=Budget)
    #: Seconds between two requests to one host; robots.txt says how many.
    delay_s: float = 0.0
    pause: Callable[[float], None] = field(default_factory=lambda: time.sleep)
    _clients: dict[str, tuple[str, httpx.Client]] = field(default_factory=dict)
    _asked_at: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _address, client in self._clients.values():
            client.close()

    @contextmanager
    def opened(self, url: str, known: Known | None = None) -> Iterator[Answer]:
        """Open a file for reading; with `known` also status 304, an empty body, may come back.

        Raises SourceUnavailable, QuotaExhausted, PolicyRefused or ContractBroken, also while the
        body is read.
        """
        with self.asked(url, known) as answer:
            _accept(answer, 304 if known else 200, self.now)
            yield answer

    @contextmanager
    def asked(self, url: str, known: Known | None = None) -> Iterator[Answer]:
        """Open a URL whatever its status, following redirects to addresses that may be reached."""
        response, final_url = self._follow(url, known.headers() if known else {})
        try:
            yield Answer(final_url, response.status_code, response.headers, self._chunks(response))
        finally:
            response.close()

    def _follow(self, url: str, headers: dict[str, str]) -> tuple[httpx.Response, str]:
        for _ in range(MAX_REDIRECTS + 1):
            self.budget.spend(0)
            response = self._send(guard.check(url, self.allow_hosts), headers)
            if response.status_code not in _REDIRECTS:
                return response, url
            location = response.headers.get("location", "")
            response.close()
            try:
                url = urljoin(url, location)
            except ValueError:
                raise ContractBroken("sitemap: redirected to something that is no URL") from None
        raise PolicyRefused(f"sitemap: more than {MAX_REDIRECTS} redirects")

    def _send(self, target: guard.Target, headers: dict[str, str]) -> httpx.Response:
        self._wait(target.authority)
        client = self._client(target)
        try:
            pinned = httpx.URL(target.url).copy_with(host=target.address, port=target.port)
            request = client.build_request(
                "GET",
                pinned,
                headers=headers
                | {
                    "Host": target.authority,
                    "User-Agent": user_agent(target),
                    "Accept-Encoding": "identity",
                },
                # The certificate must be the name's, although we connect to a number.
                extensions={"sni_hostname": target.host},
            )
            return client.send(request, stream=True)
        except httpx.InvalidURL:
            raise ContractBroken("sitemap: an address that is no URL") from None
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise SourceUnavailable(f"sitemap: {target.authority} did not answer: {kind}") from None

    def _wait(self, host: str) -> None:
        last = self._asked_at.get(host)
        wait = 0.0 if last is None else last + min(self.delay_s, MAX_DELAY_S) - time.monotonic()
        if wait > 0:
            self.budget.forgive(wait)
            self.pause(wait)
        self._asked_at[host] = time.monotonic()

    def _client(self, target: guard.Target) -> httpx.Client:
        """Return the one client of a host; never one that was checked for another name or address."""
        key = f"{target.scheme}://{target.authority}"
        address, client = self._clients.get(key, ("", None))
        if client is None or address != target.address:
            if client is not None:
                client.close()
            # No proxy: it would resolve the name again and connect somewhere that was not checked.
            client = httpx.Client(
                timeout=self.budget.timeout, follow_redirects=False, trust_env=False, limits=_ONE
            )
            # A cookie would make us somebody; every request is a stranger's.
            client.cookies.jar.set_policy(_NO_COOKIES)
            self._clients[key] = (target.address, client)
        return client

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            # As they arrive: waiting for full blocks would hide a slow drip from the budget.
            for chunk in response.iter_raw():
                self.budget.spend(len(chunk))
                yield chunk
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise SourceUnavailable(f"sitemap: the connection broke: {kind}") from None


def user_agent(target: guard.Target) -> str:
    """Return who we say we are: the shop's own operator, found where the shop is."""
    try:
        release = version("ocd")
    except PackageNotFoundError:
        release = "source"
    return f"ocd/{release} (+{target.scheme}://{target.authority}/; sitemap check by the shop's own operator)"


def _accept(answer: Answer, also: int, now: datetime) -> None:
    """Raise unless the answer is a file, or has the status `also`."""
    if answer.status == also != 200:
        return
    encoding = answer.headers.get("content-encoding", "identity")
    if answer.status == 200 and encoding in {"identity", "gzip", "x-gzip"}:
        return
    if answer.status == 200:
        raise ContractBroken("sitemap: sent in an encoding that was not asked for")
    if answer.status in _LATER or answer.status >= 500:
        raise _later(answer, now)
    raise ContractBroken(f"sitemap: the site answered {answer.status} instead of a sitemap")


def _later(answer: Answer, now: datetime) -> SourceUnavailable | QuotaExhausted:
    """Return when to come again: when the site says so, else when the ledger would try."""
    wait = retry_after(answer.headers.get("retry-after", ""), now)
    said = f"sitemap: the site answered {answer.status}"
    if wait is None:
        return SourceUnavailable(said)
    if wait > MAX_RETRY_AFTER_S:
        return QuotaExhausted(f"{said} and asks to wait {wait / 3600:,.0f} h")
    return QuotaExhausted(f"{said} and asks to wait {wait:.0f} s", retry_after_s=wait)


def retry_after(raw: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, None where it says nothing usable."""
    text = raw.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)
