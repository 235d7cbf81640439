"""What is missing for a sitemap is said step by step, up to the first that does not work."""

from __future__ import annotations

import pytest

from ocd.sources.sitemaps.probe import probe
from tests.factories.clock import NOW
from tests.factories.sitemaps import index, many


def tried(url, *allow):
    return [(one.name, one.is_ok, one.said) for one in probe(url, allow, now=NOW)]


def test_all_is_well(site):
    site.put("/robots.txt", "User-agent: *\nCrawl-delay: 0\nSitemap: /shop.xml\n")
    site.put("/shop.xml", index(f"{site.url}/a.xml", f"{site.url}/b.xml"))

    found = tried(site.url, site.host)

    assert [ok for _, ok, _ in found] == [True] * 4
    assert found[2][2] == "1 sitemaps named, 0 s between requests"
    assert found[3] == ("sitemap", True, f"{site.url}/shop.xml holds 2 files")


def test_one_sitemap_is_enough(site):
    url = site.put("/products.xml", many(site.url, 5))

    assert tried(url, site.host)[-1] == ("sitemap", True, f"{url} holds 5 URLs")


@pytest.mark.parametrize(
    ("url", "step", "said"),
    [
        (None, "setting", "set OCD_SITEMAP_URL"),
        ("shop.example", "setting", "expected http(s)://host/"),
        ("http://127.0.0.1:1/", "address", "set OCD_SITEMAP_ALLOW_HOSTS=127.0.0.1:1"),
    ],
)
def test_what_is_missing_is_named(url, step, said):
    *before, last = tried(url)

    assert all(ok for _, ok, _ in before)
    assert last[:2] == (step, False)
    assert said in last[2]


@pytest.mark.parametrize(
    ("path", "status", "step"),
    [("/robots.txt", 503, "robots.txt"), ("/sitemap.xml", 404, "sitemap")],
)
def test_a_site_that_does_not_answer_is_told_where(site, path, status, step):
    site.put(path, "", status)

    *_, last = tried(site.url, site.host)

    assert (last[0], last[1]) == (step, False)
    assert str(status) in last[2]
