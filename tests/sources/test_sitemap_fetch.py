"""Where the reader may go, and what it makes of the answers."""

from __future__ import annotations

import socket

import pytest

from ocd.core.errors import ContractBroken, PolicyRefused, SourceUnavailable
from ocd.sources.sitemaps import fetch, guard
from ocd.sources.sitemaps.fetch import Budget, Visit
from tests.factories.clock import NOW


def get(url, *allow, **budget):
    with Visit(allow, NOW, Budget(**budget)) as visit, visit.opened(url) as answer:
        return b"".join(answer.chunks)


def test_an_allowed_private_address_is_read(site):
    url = site.put("/sitemap.xml", b"body")

    assert get(url, site.host) == b"body"
    assert site.journal == ["/sitemap.xml"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.0.2", "0x7f000001", "2130706433", "017700000001", "0.0.0.0",
        "localhost", "localhost.", "LOCALHOST", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "10.0.0.1",
        "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
def test_a_private_address_in_any_spelling_is_refused(site, host):
    url = f"http://{host}:{site.port}/sitemap.xml"

    with pytest.raises(PolicyRefused, match="no public address"):
        get(url)

    assert site.journal == []


@pytest.mark.parametrize("host", ["[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::7f00:1]"])
def test_a_private_address_inside_an_ipv6_one_is_refused(site, host):
    with pytest.raises(PolicyRefused):
        guard.check(f"http://{host}:{site.port}/", ())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "0x7f000001"])
def test_only_the_exact_spelling_is_allowed(site, host):
    with pytest.raises(PolicyRefused):
        get(f"http://{host}:{site.port}/sitemap.xml", site.host)

    assert site.journal == []


def test_another_port_of_an_allowed_host_is_refused(site):
    with pytest.raises(PolicyRefused):
        get(f"http://127.0.0.1:{site.port + 1}/", site.host)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/sitemap.xml", "file:///etc/passwd", "gopher://127.0.0.1/", "sitemap.xml",
        "", "http:///sitemap.xml", "//127.0.0.1/sitemap.xml",
    ],
)  # fmt: skip
def test_another_scheme_is_refused(url):
    with pytest.raises(PolicyRefused, match="only http and https"):
        get(url)


def test_credentials_in_an_address_are_refused_and_not_repeated(site):
    with pytest.raises(PolicyRefused) as caught:
        get(f"http://user:sesame@{site.host}/", site.host)

    assert "sesame" not in str(caught.value)
    assert site.journal == []


@pytest.mark.parametrize("url", ["http://[::1/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(PolicyRefused, match="no URL"):
        get(url)


@pytest.mark.parametrize("host", ["[2606:4700::1111]", "[64:ff9b::5db8:d822]", "93.184.216.34"])
def test_a_public_address_may_be_reached(host):
    assert guard.check(f"http://{host}/", ()).port == 80


def answering(*addresses):
    return lambda *_, **__: [(socket.AF_INET, 1, 6, "", (address, 80)) for address in addresses]


def test_one_private_answer_among_public_ones_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", answering("93.184.216.34", "10.0.0.1"))

    with pytest.raises(PolicyRefused):
        guard.check("http://shop.test/", ())


def test_the_address_that_was_checked_is_the_one_to_connect_to(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", answering("93.184.216.34"))

    target = guard.check("https://shop.test/sitemap.xml", ())

    assert (target.host, target.port, target.address) == ("shop.test", 443, "93.184.216.34")


def test_a_name_that_does_not_resolve_is_worth_a_retry(monkeypatch):
    def nothing(*_, **__):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nothing)

    with pytest.raises(SourceUnavailable):
        guard.check("http://shop.test/", ())


def test_a_redirect_within_the_site_is_followed(site):
    site.put("/new.xml", b"body")
    url = site.redirect("/sitemap.xml", "/new.xml", 301)

    assert get(url, site.host) == b"body"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd",
        "//localhost/", "http://user:word@127.0.0.1:1/",
    ],
)  # fmt: skip
def test_a_redirect_is_checked_like_the_first_address(site, location):
    url = site.redirect("/sitemap.xml", location)

    with pytest.raises(PolicyRefused):
        get(url, site.host)


@pytest.mark.parametrize("location", ["http://[::1/", "http://127.0.0.1:99999/"])
def test_a_redirect_to_nowhere_is_an_error_of_ours(site, location):
    url = site.redirect("/sitemap.xml", location)

    with pytest.raises((ContractBroken, PolicyRefused, SourceUnavailable)):
        get(url, site.host)


@pytest.mark.parametrize("location", ["/sitemap.xml", ""])
def test_redirects_in_a_circle_end(site, location):
    url = site.redirect("/sitemap.xml", location)

    with pytest.raises(PolicyRefused, match="redirects"):
        get(url, site.host)

    assert len(site.journal) == fetch.MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, ContractBroken),
        (401, ContractBroken),
        (403, ContractBroken),
        (404, ContractBroken),
        (410, ContractBroken),
        (429, SourceUnavailable),
        (500, SourceUnavailable),
        (503, SourceUnavailable),
    ],
)
def test_a_status_says_whether_to_retry(site, status, error):
    url = site.put("/sitemap.xml", b"", status)

    with pytest.raises(error, match=str(status)) as caught:
        get(url, site.host)

    assert caught.value.retryable is (error is SourceUnavailable)


def test_a_body_over_the_limit_is_refused(site):
    url = site.put("/sitemap.xml", b"x" * 400_000)

    with pytest.raises(ContractBroken, match="more bytes"):
        get(url, site.host, bytes_left=200_000)


def test_a_body_over_its_time_is_worth_a_retry(site):
    url = site.put("/sitemap.xml", b"body")

    with pytest.raises(SourceUnavailable, match="not read within"):
        get(url, site.host, seconds=-1.0)


def test_a_body_that_ends_early_is_worth_a_retry(site):
    url = site.put("/sitemap.xml", b"x" * 1000)
    site.truncated.add("/sitemap.xml")

    with pytest.raises(SourceUnavailable, match="broke"):
        get(url, site.host)


def test_a_server_that_is_away_is_worth_a_retry():
    with pytest.raises(SourceUnavailable):
        get("http://127.0.0.1:1/sitemap.xml", "127.0.0.1:1")


def test_a_character_that_no_address_holds_is_an_error_of_ours(site):
    with pytest.raises(ContractBroken):
        get(f"{site.url}/a\x7fb", site.host)


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_that_was_not_asked_for_is_refused(site, encoding):
    url = site.put("/sitemap.xml", b"body", **{"Content-Encoding": encoding})

    with pytest.raises(ContractBroken, match="encoding"):
        get(url, site.host)


def test_one_budget_covers_every_file(site):
    url = site.put("/sitemap.xml", b"x" * 600)
    with Visit((site.host,), NOW, Budget(bytes_left=1000)) as visit:
        with visit.opened(url) as answer:
            list(answer.chunks)

        with visit.opened(url) as answer, pytest.raises(ContractBroken):
            list(answer.chunks)
