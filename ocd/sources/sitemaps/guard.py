"""Which addresses may be fetched: public ones, or an exact host:port that is allowed. No rebinding."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ocd.core.errors import PolicyRefused, SourceUnavailable
from ocd.sources.sitemaps.location import DEFAULT_PORTS

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST6 = ipaddress.IPv6Network("2000::/3")


@dataclass(frozen=True)
class Target:
    """A URL that was checked, with the very address to connect to."""

    url: str
    scheme: str
    host: str
    port: int
    address: str

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port: what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check(url: str, allow_hosts: tuple[str, ...]) -> Target:
    """Resolve and check a URL; raises PolicyRefused for one that may not be fetched.

    Connect to `address` and nothing else: a second look-up could answer another one.
    """
    scheme, host, port = _split(url)
    address = _resolve(host, port)
    named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not is_public(address) and named not in allow_hosts:
        raise PolicyRefused(
            f"sitemap: {named} is no public address; if that is meant, set OCD_SITEMAP_ALLOW_HOSTS={named}"
        )
    return Target(url, scheme, host, port, address)


def _split(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
        host = (parts.hostname or "").rstrip(".")
        if not host.isascii():
            host = host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        raise PolicyRefused("sitemap: an address that is no URL is not fetched") from None
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise PolicyRefused("sitemap: only http and https addresses are fetched")
    if "@" in parts.netloc:
        raise PolicyRefused("sitemap: an address with credentials is not fetched")
    return parts.scheme, host, port


def _resolve(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SourceUnavailable(f"sitemap: {host[:100]} does not resolve") from None
    addresses = [str(entry[4][0]) for entry in found]
    # One private answer among public ones is refused like a private one.
    return next((address for address in addresses if not is_public(address)), addresses[0])


def is_public(address: str) -> bool:
    """Whether an address belongs to the open Internet, also when IPv6 wraps an IPv4 one."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = _wrapped(ip)
        if wrapped is None and ip not in _UNICAST6:
            return False
        ip = wrapped or ip
    return ip.is_global and not ip.is_multicast


def _wrapped(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.teredo is not None:
        return ip.teredo[1]
    return ip.ipv4_mapped or ip.sixtofour
