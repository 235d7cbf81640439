"""Which addresses may be fetched: public ones, or an exact host:port that is allowed. No rebinding."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ocd.core.errors import ConfigError, PolicyRefused, SourceUnavailable


@dataclass(frozen=True)
class Target:
    """A URL that was checked, with the very address to connect to."""

    url: str
    scheme: str
    host: str
    port: int
    address: str


def check(url: str, allow_hosts: tuple[str, ...]) -> Target:
    """Resolve and check a URL; raises PolicyRefused for an address that may not be reached."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        raise ConfigError("sitemap: not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise PolicyRefused("sitemap: only http and https addresses are fetched")
    if parts.username is not None or parts.password is not None:
        raise PolicyRefused("sitemap: an address with credentials is not fetched")
    host = parts.hostname.rstrip(".")
    address = _resolve(host, port)
    if not _is_public(address) and f"{host}:{port}" not in allow_hosts:
        raise PolicyRefused(
            f"sitemap: {host}:{port} is a private address; if that is meant, set OCD_SITEMAP_ALLOW_HOSTS={host}:{port}"
        )
    return Target(url, parts.scheme, host, port, address)


def _resolve(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SourceUnavailable(f"sitemap: {host} does not resolve") from None
    addresses = [str(entry[4][0]) for entry in found]
    # One private answer among public ones is refused like a private one.
    return next((address for address in addresses if not _is_public(address)), addresses[0])


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast
