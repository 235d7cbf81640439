"""A page that says "not found" with status 200 is not there."""

from __future__ import annotations

import time

import pytest

from ocd.sources.sitemaps.pages import Page, Verdict, judge, page_of
from tests.factories.sitemaps import entry, many, urlset

ASKED = "https://shop.test/pages/returns"


def html(title, body="<p>Some words about returning things.</p>", attributes=""):
    return f"<!doctype html><html><head><title>{title}</title></head><body {attributes}>{body}</body></html>"


def verdict(page, nowhere=None):
    return judge(ASKED, page, nowhere)[0]


@pytest.mark.parametrize(
    "title",
    [
        "404 Not Found - Hot Rods", "404", "Error 404", "Page not found | Shop", "Not Found",
        "Shop: 404 page", "This product is no longer available", "The page can't be found", " 404 - not found ",
    ],
)  # fmt: skip
def test_a_title_or_heading_that_says_so_is_believed(title):
    in_title = page_of(ASKED, 200, html(title))
    in_heading = page_of(ASKED, 200, html("Shop", f"<h1><span>{title}</span></h1>"))

    assert (verdict(in_title), verdict(in_heading)) == (Verdict.SOFT_404, Verdict.SOFT_404)


@pytest.mark.parametrize(
    "title",
    [
        "Returns - Hot Rods",
        "Holley 404 carburetor kit",
        "Peugeot 404 fuel hose",
        "Lost and found",
        "",
    ],
)
def test_a_page_with_the_number_in_its_name_is_there(title):
    assert verdict(page_of(ASKED, 200, html(title))) is Verdict.FOUND


def test_words_in_scripts_and_styles_say_nothing():
    page = page_of(ASKED, 200, html("Returns", "<script>'<h1>404</h1>'</script><style>404</style>"))

    assert verdict(page) is Verdict.FOUND


def test_a_theme_that_names_its_template_is_believed():
    page = page_of(ASKED, 200, html("Shop", attributes='class="gradient template-404 wide"'))

    assert verdict(page) is Verdict.SOFT_404


@pytest.mark.parametrize(
    "url", ["https://shop.test/", "https://shop.test", "https://www.shop.test/?from=x"]
)
def test_a_page_that_leads_home_is_not_there(url):
    assert verdict(page_of(url, 200, html("Hot Rods"))) is Verdict.SOFT_404


def test_the_home_page_itself_is_there():
    page = page_of("https://shop.test/", 200, html("Hot Rods"))

    assert judge("https://shop.test/", page, None)[0] is Verdict.FOUND


def test_a_page_like_any_invented_one_is_not_there():
    text = "<p>" + " ".join(f"word{n}" for n in range(100)) + "</p>"
    nowhere = page_of("https://shop.test/no-such", 200, html("Shop", text + "<i>no-such</i>"))

    assert verdict(page_of(ASKED, 200, html("Shop", text)), nowhere) is Verdict.SOFT_404
    assert verdict(page_of(ASKED, 200, html("Returns", text)), nowhere) is Verdict.FOUND
    assert verdict(page_of(ASKED, 200, html("Shop", "<p>Returns</p>")), nowhere) is Verdict.FOUND


def test_an_honest_404_elsewhere_makes_nothing_alike():
    assert verdict(page_of(ASKED, 200, html("Shop")), Page(ASKED, 404)) is Verdict.FOUND


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, Verdict.GONE),
        (410, Verdict.GONE),
        (403, Verdict.UNREACHABLE),
        (500, Verdict.UNREACHABLE),
    ],
)
def test_a_status_decides_before_the_words(status, expected):
    assert verdict(Page(ASKED, status)) is expected


@pytest.mark.parametrize(
    "text",
    ["<" * 200_000, "<!--" * 100_000, "<a href='" * 50_000, "<![" * 100_000, "&#" * 100_000, "<!" * 200_000,
     "<h1>" * 50_000, "</" * 100_000, "<script>" * 50_000, "<?" * 100_000],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_broken_html_is_read_in_no_time(text):
    started = time.monotonic()

    page_of(ASKED, 200, text)

    assert time.monotonic() - started < 10


def test_a_sample_is_fetched_and_kept(site, take, ask):
    shown = html("A part").encode()
    site.put(
        "/sitemap.xml",
        urlset(*(entry(f"{site.url}/{slug}") for slug in ("a", "gone", "soft", "away"))),
    )
    site.put("/a", shown)
    site.put("/soft", html("404 Not Found"))
    site.put("/away", "", 500)

    report = take(sample_pages=10)

    assert report.sampled == {"found": 1, "gone": 1, "soft_404": 1, "unreachable": 1}
    assert "2 of 4 sampled pages not there" in report.summary
    kept = {
        loc.rpartition("/")[2]: rest
        for loc, *rest in ask("select loc, verdict, http_status from landing.sitemap_page")
    }
    assert kept == {
        "a": ["found", 200], "gone": ["gone", 404], "soft": ["soft_404", 200], "away": ["unreachable", 500],
    }  # fmt: skip
    assert ask("select soft_404_count from landing.sitemap_snapshot") == [(1,)]


def test_a_site_that_answers_anything_is_found_out(site, take):
    """Every address gives the same page with status 200."""
    for slug in ("a", "b"):
        site.put(f"/{slug}", html("Shop"))
    site.put("/sitemap.xml", urlset(*(entry(f"{site.url}/{slug}") for slug in "ab")))
    honest = site.answer
    site.answer = lambda path, headers: (
        (200, {}, html("Shop").encode()) if "no-such-page" in path else honest(path, headers)
    )

    assert take(sample_pages=2).sampled == {"soft_404": 2}


def test_a_sample_is_bounded_and_another_one_the_next_day(site, take):
    site.put("/sitemap.xml", many(site.url, 30))
    sampled = []
    for _ in range(2):
        site.journal.clear()
        take(sample_pages=4)
        sampled.append({path for path in site.journal if path.startswith("/products/")})

    assert [len(one) for one in sampled] == [4, 4]
    assert sampled[0] != sampled[1]


def test_pages_that_robots_forbids_are_left_alone(site, take):
    site.put("/robots.txt", "User-agent: *\nDisallow: /products\n")
    site.put("/sitemap.xml", many(site.url, 30))

    assert take(sample_pages=4).sampled == {}


def test_a_page_that_leads_inside_is_not_followed(site, take):
    site.redirect("/a", "http://169.254.169.254/latest/meta-data/")
    site.put("/sitemap.xml", urlset(entry(f"{site.url}/a")))

    assert take(sample_pages=1).sampled == {"unreachable": 1}
