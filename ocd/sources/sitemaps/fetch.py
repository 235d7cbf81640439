"""Get bytes from a checked address: pinned to it, redirects re-checked, bounded in size and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urljoin

import httpx

from ocd.core.errors import ContractBroken, PolicyRefused, SourceUnavailable
from ocd.sources.sitemaps import guard

MAX_REDIRECTS = 5
#: Bytes on the wire and seconds for a whole snapshot, its children included.
MAX_BYTES = 200 * 1024 * 1024
MAX_SECONDS = 300.0
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429}


@dataclass
class Budget:
    """What one snapshot may still read."""

    bytes_left: int = MAX_BYTES
    seconds: float = MAX_SECONDS
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


@dataclass(frozen=True)
class Body:
    """A response's body in chunks, still compressed as the file is, and where it came from in the end."""

    url: str
    chunks: Iterator[bytes]


@contextmanager
def opened(url: str, allow_hosts: tuple[str, ...], budget: Budget) -> Iterator[Body]:
    """Open a URL for reading, following redirects to addresses that may be reached.

    Raises SourceUnavailable, PolicyRefused or ContractBroken, also while the body is read.
    """
    # No proxy: it would resolve the name again and connect somewhere that was not checked.
    with httpx.Client(timeout=budget.timeout, follow_redirects=False, trust_env=False) as client:
        response, final_url = _follow(client, url, allow_hosts, budget)
        try:
            yield Body(final_url, _chunks(response, budget))
        finally:
            response.close()


def _follow(
    client: httpx.Client, url: str, allow_hosts: tuple[str, ...], budget: Budget
) -> tuple[httpx.Response, str]:
    for _ in range(MAX_REDIRECTS + 1):
        budget.spend(0)
        response = _send(client, guard.check(url, allow_hosts))
        if response.status_code not in _REDIRECTS:
            return _accepted(response), url
        location = response.headers.get("location", "")
        response.close()
        try:
            url = urljoin(url, location)
        except ValueError:
            raise ContractBroken("sitemap: redirected to something that is no URL") from None
    raise PolicyRefused(f"sitemap: more than {MAX_REDIRECTS} redirects")


def _send(client: httpx.Client, target: guard.Target) -> httpx.Response:
    try:
        pinned = httpx.URL(target.url).copy_with(host=target.address, port=target.port)
        request = client.build_request(
            "GET",
            pinned,
            headers={
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


def user_agent(target: guard.Target) -> str:
    """Return who we say we are: the shop's own operator, found where the shop is."""
    try:
        release = version("ocd")
    except PackageNotFoundError:
        release = "source"
    return f"ocd/{release} (+{target.scheme}://{target.authority}/; sitemap check by the shop's own operator)"


def _accepted(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    encoding = response.headers.get("content-encoding", "identity")
    if status == 200 and encoding in {"identity", "gzip", "x-gzip"}:
        return response
    response.close()
    if status == 200:
        raise ContractBroken("sitemap: sent in an encoding that was not asked for")
    if status in _LATER or status >= 500:
        raise SourceUnavailable(f"sitemap: the site answered {status}")
    raise ContractBroken(f"sitemap: the site answered {status} instead of a sitemap")


def _chunks(response: httpx.Response, budget: Budget) -> Iterator[bytes]:
    try:
        # As they arrive: waiting for full blocks would hide a slow drip from the budget.
        for chunk in response.iter_raw():
            budget.spend(len(chunk))
            yield chunk
    except httpx.HTTPError as error:
        kind = type(error).__name__
        raise SourceUnavailable(f"sitemap: the connection broke: {kind}") from None
