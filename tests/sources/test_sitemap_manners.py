"""How we visit: what robots.txt says is heard, nothing is fetched twice, nobody is hurried."""

from __future__ import annotations

import codecs
from datetime import timedelta
from email.utils import format_datetime

import pytest

from ocd.core.errors import ContractBroken, PolicyRefused, QuotaExhausted, SourceUnavailable
from ocd.sources.sitemaps import bodies, robots
from ocd.sources.sitemaps.fetch import MAX_DELAY_S, Budget, Visit, retry_after
from tests.factories.clock import NOW
from tests.factories.sitemaps import entry, index, many, urlset


@pytest.fixture
def slept(monkeypatch):
    """What was waited for; nobody sleeps."""
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sitemap: https://shop.test/a.xml\n", ["https://shop.test/a.xml"]),
        ("sitemap:https://shop.test/a.xml # ours\n", ["https://shop.test/a.xml"]),
        ("Sitemap: /a.xml\n", ["https://shop.test/a.xml"]),
        ("Sitemap: https://cdn.test/a.xml\n", ["https://cdn.test/a.xml"]),
        (
            "User-agent: x\nSitemap: /a.xml\nUser-agent: *\nSitemap: /a.xml\nSitemap: /b.xml",
            ["https://shop.test/a.xml", "https://shop.test/b.xml"],
        ),
        ("Sitemap: http://[::1/a.xml\nSitemap: /a.xml", ["https://shop.test/a.xml"]),
        ("<html><title>Not here</title></html>", []),
        ("", []),
    ],
    ids=["plain", "sloppy", "relative", "elsewhere", "repeated", "no url", "html", "empty"],
)
def test_robots_names_the_sitemaps(text, expected):
    assert list(robots.parse(text, "https://shop.test/robots.txt").sitemaps) == expected


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("User-agent: *\nCrawl-delay: 2\n", 2.0),
        ("User-agent: ocd\nCrawl-delay: 3\n\nUser-agent: *\nCrawl-delay: 9", 3.0),
        ("User-agent: AhrefsBot\nCrawl-delay: 10\n", 0.0),
        ("User-agent: *\nCrawl-delay: soon\n", 0.0),
    ],
)
def test_robots_says_how_long_to_pause(text, delay):
    assert robots.parse(text, "https://shop.test/robots.txt").delay_s == delay


@pytest.mark.parametrize(
    "body",
    [
        codecs.BOM_UTF8 + b"Sitemap: /a.xml",
        codecs.BOM_UTF16_BE + "Sitemap: /a.xml".encode("utf-16-be"),
        b"# \xff\xfe\nSitemap: /a.xml",
        b"Sitemap: /a.xml\n" + b"# much more\n" * 100_000,
    ],
    ids=["utf-8", "utf-16", "no text", "huge"],
)
def test_robots_is_read_however_it_is_written(site, body):
    site.put("/robots.txt", body)

    with Visit((site.host,), NOW) as visit:
        found = robots.read(visit, site.url)

    assert found.sitemaps == (f"{site.url}/a.xml",)


def test_the_site_alone_is_enough_to_find_its_sitemaps(site, take):
    site.put("/robots.txt", "Sitemap: /shop.xml\nSitemap: /blog.xml\n")
    site.put("/shop.xml", index(site.put("/products.xml", many(site.url, 3))))
    site.put("/blog.xml", urlset(entry(f"{site.url}/blogs/a"), entry(f"{site.url}/products/p0")))

    report = take(site_url=site.url)

    assert (report.rows, report.files) == (4, 3)
    assert site.journal == ["/shop.xml", "/products.xml", "/blog.xml"]


def test_without_a_robots_file_the_usual_place_is_tried(site, take):
    site.put("/sitemap.xml", many(site.url, 3))

    assert take(site_url=f"{site.url}/").rows == 3


def test_a_site_that_does_not_say_what_it_asks_is_not_visited(site, take):
    site.put("/robots.txt", "", 503)
    site.put("/sitemap.xml", many(site.url, 3))

    with pytest.raises(SourceUnavailable):
        take()

    assert site.journal == []


def test_the_robots_file_may_name_a_sitemap_of_another_host(site, take):
    """It proves that the other host keeps it for this one; its URLs are still this site's."""
    other = f"localhost:{site.port}"
    site.put("/robots.txt", f"Sitemap: http://{other}/theirs.xml")
    site.put("/theirs.xml", urlset(entry(f"{site.url}/a"), entry(f"http://{other}/b")))

    report = take(site_url=site.url, allow_hosts=(site.host, other))

    assert report.rows == 1
    assert report.warnings == {"location on another host": 1}


def test_another_host_than_an_allowed_one_is_refused_wherever_it_is_named(site, take):
    site.put("/robots.txt", f"Sitemap: http://localhost:{site.port}/theirs.xml")

    with pytest.raises(PolicyRefused, match="no public address"):
        take(site_url=site.url)


def test_the_pause_that_the_site_asks_for_is_made(site, take, slept):
    site.put("/robots.txt", "User-agent: *\nCrawl-delay: 7\n")
    site.put("/sitemap.xml", index(*(site.put(f"/{n}.xml", many(site.url, 2)) for n in "ab")))

    take()

    assert len(slept) == 3
    assert all(6 < wait <= 7 for wait in slept)


def test_an_endless_pause_is_shortened(site, take, slept):
    site.put("/robots.txt", "User-agent: *\nCrawl-delay: 100000\n")
    site.put("/sitemap.xml", many(site.url, 2))

    take()

    assert 0 < max(slept) <= MAX_DELAY_S


def test_a_pause_does_not_use_up_the_time(site):
    site.put("/a", b"")
    waits = []
    budget = Budget(seconds=5)
    with Visit((site.host,), NOW, budget, delay_s=30, pause=waits.append) as visit:
        until = budget._until
        for _ in range(3):
            with visit.opened(f"{site.url}/a"):
                pass

    assert len(waits) == 2
    assert budget._until - until == pytest.approx(sum(waits))


def test_one_connection_serves_a_whole_visit(site, take):
    site.put("/robots.txt", "")
    files = [site.put(f"/{n}.xml", many(site.url, 2)) for n in range(8)]
    site.put("/sitemap.xml", index(*files))

    take()

    assert (site.most_connections, site.connected) == (1, 1)


def test_nobody_is_asked_with_a_cookie(site):
    site.put("/a", b"", **{"Set-Cookie": "who=you; Path=/"})

    with Visit((site.host,), NOW) as visit:
        for _ in range(2):
            with visit.opened(f"{site.url}/a"):
                pass

    assert all("Cookie" not in headers for _, headers in site.everything)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120),
        (" 0 ", 0),
        (format_datetime(NOW + timedelta(minutes=5)), 300),
        (format_datetime(NOW - timedelta(minutes=5)), 0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header, wait):
    assert retry_after(header, NOW) == wait


@pytest.mark.parametrize("status", [429, 503])
def test_a_site_that_says_when_is_asked_then(site, take, status):
    site.put("/sitemap.xml", b"", status, **{"Retry-After": "120"})

    with pytest.raises(QuotaExhausted, match="asks to wait 120 s") as caught:
        take()

    assert (caught.value.retryable, caught.value.retry_after_s) == (True, 120)


def test_a_site_that_says_tomorrow_is_not_waited_for(site, take):
    site.put("/sitemap.xml", b"", 429, **{"Retry-After": "86400"})

    with pytest.raises(QuotaExhausted, match="24 h") as caught:
        take()

    assert not caught.value.retryable


def test_an_unchanged_file_is_not_sent_again(site, take, ask):
    site.has_etags = True
    site.put(
        "/sitemap.xml", index(*(site.put(f"/{n}.xml", many(f"{site.url}/{n}", 5)) for n in "ab"))
    )
    first = take()
    site.put("/b.xml", many(f"{site.url}/b", 6))

    second = take()

    assert (first.not_modified, second.not_modified, second.rows) == (0, 2, 11)
    assert (second.added, second.removed, second.lastmod_only) == (1, 0, 0)
    sent = dict(ask("select path_key, bytes_wire from landing.sitemap_file where snapshot_id = 2"))
    assert {path.rpartition("/")[2]: size > 0 for path, size in sent.items()} == {
        "sitemap.xml": False,
        "a.xml": False,
        "b.xml": True,
    }
    assert ask("select count(distinct sha256) from landing.sitemap_file") == [(4,)]


def test_a_third_reading_still_knows_what_the_first_was_sent(site, take):
    site.has_etags = True
    site.put("/sitemap.xml", many(site.url, 5))

    assert [take().not_modified for _ in range(3)] == [0, 1, 1]


def test_the_date_of_a_file_is_enough_to_recognise_it(site, take):
    site.put(
        "/sitemap.xml", many(site.url, 5), **{"Last-Modified": "Mon, 23 Nov 2026 02:00:00 GMT"}
    )
    take()

    take()

    asked = [headers for path, headers in site.everything if path == "/sitemap.xml"]
    assert "If-Modified-Since" not in asked[0]
    assert asked[1]["If-Modified-Since"] == "Mon, 23 Nov 2026 02:00:00 GMT"


def test_a_file_whose_copy_is_gone_is_sent_again(site, take, ask, store):
    site.has_etags = True
    site.put("/sitemap.xml", many(site.url, 5, lastmod="2026-11-01"))
    take()
    ((sha256,),) = ask("select sha256 from landing.sitemap_file")
    store.delete(bodies.name_of(sha256))
    site.put("/sitemap.xml", many(site.url, 5, lastmod="2026-11-02"))

    report = take()

    assert (report.rows, report.not_modified, report.lastmod_only) == (5, 0, None)


def test_nothing_has_changed_is_no_answer_to_who_never_asked(site, take):
    site.put("/sitemap.xml", b"", 304)

    with pytest.raises(ContractBroken, match="304"):
        take()


def test_a_copy_is_kept_once_however_often_it_is_sent(site, take, ask, store):
    site.put("/sitemap.xml", many(site.url, 40))
    for _ in range(3):
        take()

    ((name,),) = ask("select name from ocd.artifact where kind = 'sitemap-body'")
    (kept,) = store.list("sitemaps/bodies")
    assert kept == name
    assert (
        b"".join(bodies.plain(store, name.rpartition("/")[2][:-3])) == many(site.url, 40).encode()
    )


def test_a_slow_drip_is_worth_a_retry_and_leaves_nothing(site, take, ask, monkeypatch):
    monkeypatch.setattr("ocd.sources.sitemaps.fetch.MAX_SECONDS", 0.3)
    site.put("/sitemap.xml", many(site.url, 400))
    site.dripping.add("/sitemap.xml")

    with pytest.raises(SourceUnavailable, match="not read within"):
        take()

    assert ask("select count(*) from landing.sitemap_snapshot") == [(0,)]
