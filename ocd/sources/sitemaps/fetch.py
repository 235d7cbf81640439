"""Get bytes from a checked address: pinned to it, redirects re-checked, bounded in size and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

import httpx

from ocd.core.errors import ContractBroken, PolicyRefused, SourceUnavailable
from ocd.sources.sitemaps import guard

USER_AGENT = "ocd-sitemap-reader/0.1 (operator control data; nightly snapshot)"
MAX_REDIRECTS = 5
#: Compressed bytes of one file; the protocol allows 50 MB uncompressed.
MAX_BYTES = 50 * 1024 * 1024
BUDGET_S = 120.0
TIMEOUT = httpx.Timeout(20.0, connect=10.0)


@contextmanager
def opened(url: str, allow_hosts: tuple[str, ...]) -> Iterator[Iterator[bytes]]:
    """Open a URL and yield its body in chunks, still compressed as the file is.

    Raises SourceUnavailable, PolicyRefused or ContractBroken; the last also for a body that ends
    early or never ends.
    """
    deadline = time.monotonic() + BUDGET_S
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        response = _follow(client, url, allow_hosts)
        try:
            yield _body(response, deadline)
        finally:
            response.close()


def _follow(client: httpx.Client, url: str, allow_hosts: tuple[str, ...]) -> httpx.Response:
    for _ in range(MAX_REDIRECTS + 1):
        response = _send(client, guard.check(url, allow_hosts))
        if response.status_code not in {301, 302, 303, 307, 308}:
            return _accepted(response)
        location = response.headers.get("location", "")
        response.close()
        url = urljoin(url, location)
    raise PolicyRefused(f"sitemap: more than {MAX_REDIRECTS} redirects")


def _send(client: httpx.Client, target: guard.Target) -> httpx.Response:
    host = f"[{target.address}]" if ":" in target.address else target.address
    default = {"http": 80, "https": 443}[target.scheme]
    named = target.host if target.port == default else f"{target.host}:{target.port}"
    # Connect to the address that was checked: a second look-up could answer another one.
    pinned = httpx.URL(target.url).copy_with(host=host.strip("[]"), port=target.port)
    request = client.build_request(
        "GET",
        pinned,
        headers={"Host": named, "User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        extensions={"sni_hostname": target.host},
    )
    try:
        return client.send(request, stream=True)
    except httpx.HTTPError as error:
        raise SourceUnavailable(
            f"sitemap: {target.host} did not answer: {type(error).__name__}"
        ) from None


def _accepted(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    if status == 200:
        return response
    response.close()
    if status == 429 or status >= 500:
        raise SourceUnavailable(f"sitemap: the site answered {status}")
    raise ContractBroken(f"sitemap: the site answered {status}")


def _body(response: httpx.Response, deadline: float) -> Iterator[bytes]:
    size = 0
    try:
        for chunk in response.iter_raw(64 * 1024):
            size += len(chunk)
            if size > MAX_BYTES:
                raise ContractBroken(f"sitemap: larger than {MAX_BYTES // 2**20} MiB")
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"sitemap: not read within {BUDGET_S:.0f} s")
            yield chunk
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"sitemap: the connection broke: {type(error).__name__}") from None
