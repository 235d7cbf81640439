"""What really goes over the wire: the checked address, the right name, no endless drip."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from ocd.core.errors import PolicyRefused, SourceUnavailable
from ocd.sources.sitemaps.fetch import Budget, Visit
from tests.factories.clock import NOW


@pytest.fixture
def resolver(monkeypatch):
    """Let names resolve to what a test says, look-up after look-up; numbers resolve as ever."""
    real, answers, asked = socket.getaddrinfo, {}, []

    def resolve(host, port, *args, **kwargs):
        if host not in answers:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        address = answers[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    resolver.answers, resolver.asked = answers, asked
    return resolver


@contextmanager
def listening(talk):
    """Accept one connection on loopback and hand it to `talk`; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def get(url, *allow, **budget):
    with Visit(allow, NOW, Budget(**budget)) as visit, visit.opened(url) as answer:
        return b"".join(answer.chunks)


def test_a_name_that_resolves_anew_does_not_move_the_connection(site, resolver):
    """A second look-up would answer 10.0.0.1; there is no second look-up."""
    site.put("/sitemap.xml", b"body")
    resolver.answers["shop.test"] = ["127.0.0.1", "10.0.0.1"]

    found = get(f"http://shop.test:{site.port}/sitemap.xml", f"shop.test:{site.port}")

    assert found == b"body"
    assert resolver.asked == ["shop.test"]


def test_every_redirect_is_resolved_and_checked_anew(site, resolver):
    resolver.answers["shop.test"] = ["127.0.0.1"]
    resolver.answers["inside.test"] = ["10.0.0.1"]
    site.redirect("/sitemap.xml", "http://inside.test/sitemap.xml")

    with pytest.raises(PolicyRefused, match="inside.test"):
        get(f"http://shop.test:{site.port}/sitemap.xml", f"shop.test:{site.port}")

    assert resolver.asked == ["shop.test", "inside.test"]


def test_the_site_is_asked_by_its_name_and_told_who_asks(resolver):
    heard = []

    def talk(connection):
        heard.append(connection.recv(65536).decode())
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")

    resolver.answers["shop.test"] = ["127.0.0.1"]

    with listening(talk) as port:
        get(f"http://shop.test:{port}/sitemap.xml", f"shop.test:{port}")

    lines = heard[0].split("\r\n")
    assert lines[0] == "GET /sitemap.xml HTTP/1.1"
    assert f"Host: shop.test:{port}" in lines
    (agent,) = (line for line in lines if line.startswith("User-Agent: "))
    assert agent.startswith("User-Agent: ocd/")
    assert f"(+http://shop.test:{port}/;" in agent


def test_tls_names_the_site_although_it_connects_to_a_number(resolver):
    """The first TLS message carries the name in clear; the certificate is checked against it."""
    heard = []
    resolver.answers["shop.test"] = ["127.0.0.1"]

    with (
        listening(lambda connection: heard.append(connection.recv(65536))) as port,
        pytest.raises(SourceUnavailable),
    ):
        get(f"https://shop.test:{port}/sitemap.xml", f"shop.test:{port}")

    assert b"shop.test" in heard[0]


def test_a_slow_drip_ends_with_the_budget():
    """Bytes that keep coming never trip a read timeout, so the budget has to look at each of them."""
    closed = threading.Event()

    def talk(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while not closed.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            pass  # the reader hung up, as it should

    with listening(talk) as port:
        with pytest.raises(SourceUnavailable, match="not read within"):
            get(f"http://127.0.0.1:{port}/", f"127.0.0.1:{port}", seconds=0.2)
        closed.set()
