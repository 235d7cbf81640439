"""Snapshots against a site on loopback and a real database."""

from __future__ import annotations

import gzip
import json

import pytest

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused, SourceUnavailable
from ocd.ledger import claims
from ocd.ledger.evidence import to_evidence
from tests.factories.sitemaps import entry, index, many, urlset


def url(site, slug, lastmod=None, image=None):
    return entry(f"{site.url}/{slug}", lastmod, image)


@pytest.fixture
def everything(ask, store, tmp_path):
    """All that a snapshot may write."""

    def state():
        return (
            ask("select * from landing.sitemap_snapshot order by id"),
            ask("select * from landing.sitemap_url order by id"),
            ask("select name, sha256 from ocd.artifact order by name"),
            sorted(path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()),
        )

    return state


NOTHING = ([], [], [], [])


def test_the_first_snapshot_has_no_diff(site, take, ask):
    site.put("/sitemap.xml", urlset(url(site, "a"), url(site, "b"), url(site, "a")))

    report = take()

    assert (report.rows, report.files) == (2, 1)
    assert (report.added, report.removed, report.content_changed) == (None, None, None)
    assert "first snapshot" in report.summary
    stored = (
        "select previous_id, url_count, duplicate_count, added_count from landing.sitemap_snapshot"
    )
    assert ask(stored) == [(None, 2, 1, None)]
    assert ask("select count(*) from landing.sitemap_url where gone_snapshot_id is null") == [(2,)]


def test_a_second_snapshot_keeps_the_history_of_every_url(site, take, ask):
    site.put("/sitemap.xml", urlset(url(site, "a"), url(site, "b"), url(site, "c", image="1.jpg")))
    take()
    site.put("/sitemap.xml", urlset(url(site, "a"), url(site, "c", image="2.jpg"), url(site, "d")))

    report = take()

    assert (report.added, report.removed, report.content_changed) == (1, 1, 1)
    (first,), (second,) = ask("select id from landing.sitemap_snapshot order by id")
    versions = ask("""
        select right(loc, 1), first_snapshot_id, gone_snapshot_id
        from landing.sitemap_url order by loc, id
    """)
    assert versions == [
        ("a", first, None),
        ("b", first, second),
        ("c", first, second),
        ("c", second, None),
        ("d", second, None),
    ]


def test_a_snapshot_that_was_done_but_not_told_is_told_by_the_next_try(site, take, db, start_run):
    """Read a second time, the site would be compared with itself: nothing added, nothing removed."""
    site.put("/sitemap.xml", urlset(url(site, "a")))
    take()
    site.put("/sitemap.xml", urlset(url(site, "a"), url(site, "b")))
    run = start_run("sources.snapshot_sitemap", lease_s=0)
    report = take(run)

    heir = claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30)

    assert report.added == 1
    assert to_evidence(heir.settled) == to_evidence(report)


def test_the_diff_is_kept_as_an_artifact(site, take, ask, store, tmp_path):
    site.put("/sitemap.xml", urlset(url(site, "a"), url(site, "b")))
    take()
    site.put("/sitemap.xml", urlset(url(site, "a"), url(site, "d")))

    take()

    names = ask("select name, source, kind from ocd.artifact order by id")
    assert {row[1] for row in names} == {"sources.sitemap"}
    assert sorted(row[2] for row in names) == [
        *["sitemap-body"] * 2,
        *["sitemap-diff"] * 2,
        *["sitemap-report"] * 2,
    ]
    diffs = [name for name, _, kind in names if kind == "sitemap-diff"]
    diff = json.loads((tmp_path / "artifacts" / diffs[1]).read_bytes())
    assert (diff["added"], diff["removed"]) == ([f"{site.url}/d"], [f"{site.url}/b"])


def test_a_url_that_comes_back_is_a_new_version(site, take, ask):
    for slugs in ("abcdef", "acdef", "abcdef"):
        site.put("/sitemap.xml", urlset(*(url(site, slug) for slug in slugs)))
        report = take()

    assert (report.added, report.removed) == (1, 0)
    versions = ask("select gone_snapshot_id is null from landing.sitemap_url where loc like '%/b'")
    assert sorted(versions) == [(False,), (True,)]


def test_a_new_lastmod_alone_is_no_change(site, take, ask):
    site.put("/sitemap.xml", urlset(url(site, "a", "2026-10-01"), url(site, "b", "2026-10-02")))
    take()
    site.put("/sitemap.xml", urlset(url(site, "a", "2026-11-01"), url(site, "b", "2026-11-02")))

    report = take()

    assert (report.added, report.removed, report.content_changed) == (0, 0, 0)
    assert ask("select count(*) from landing.sitemap_url") == [(2,)]
    assert ask("select count(distinct content_sha256) from landing.sitemap_snapshot") == [(1,)]


@pytest.mark.parametrize(
    ("lastmods", "expected"),
    [
        (["2026-10-01"] * 3, True),
        (["2026-10-01", "2026-10-02", "2026-10-01"], True),
        (["2026-10-01", "2026-10-02"], False),
        ([None] * 3, False),
        (["2026-10-01"], False),
    ],
)
def test_a_lastmod_that_most_urls_share_is_flagged(site, take, lastmods, expected):
    urls = [url(site, f"p{number}", lastmod) for number, lastmod in enumerate(lastmods)]
    site.put("/sitemap.xml", urlset(*urls))

    assert take().is_lastmod_uniform is expected


def test_a_site_without_any_url_is_not_believed(site, take, everything):
    site.put("/sitemap.xml", many(site.url, 50))
    take()
    before = everything()
    site.put("/sitemap.xml", many(site.url, 0))

    with pytest.raises(ContractBroken, match="no URL at all"):
        take()

    assert everything() == before


def test_an_index_is_read_with_its_children(site, take, ask):
    one = site.put("/one.xml", urlset(url(site, "a")))
    two = site.put("/two.xml.gz", gzip.compress(urlset(url(site, "b"), url(site, "a")).encode()))
    site.put("/sitemap.xml", index(one, two, one))

    report = take()

    assert (report.rows, report.files) == (2, 3)
    assert ask("select duplicate_count from landing.sitemap_snapshot") == [(1,)]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<urlset><url><loc>http://shop.test/a</loc>", ContractBroken),
        (b"", ContractBroken),
        (b"<!doctype html><html></html>", ContractBroken),
    ],
)
def test_a_malformed_child_leaves_no_row_and_no_artifact(site, take, everything, body, error):
    good, bad = site.put("/good.xml", urlset(url(site, "a"))), site.put("/bad.xml", body)
    site.put("/sitemap.xml", index(good, bad))

    with pytest.raises(error):
        take()

    assert everything() == NOTHING


def test_a_child_that_is_away_leaves_no_row_and_no_artifact(site, take, everything):
    good, bad = site.put("/good.xml", urlset(url(site, "a"))), site.put("/bad.xml", b"", 503)
    site.put("/sitemap.xml", index(good, bad))

    with pytest.raises(SourceUnavailable):
        take()

    assert everything() == NOTHING


def test_a_child_cut_short_leaves_no_row_and_no_artifact(site, take, everything):
    site.put("/sitemap.xml", index(site.put("/cut.xml", many(site.url, 50))))
    site.truncated.add("/cut.xml")

    with pytest.raises(SourceUnavailable):
        take()

    assert everything() == NOTHING


def test_a_nested_index_is_refused(site, take, everything):
    inner = site.put("/inner.xml", index(f"{site.url}/a.xml"))
    site.put("/sitemap.xml", index(inner))

    with pytest.raises(ContractBroken, match="within an index"):
        take()

    assert everything() == NOTHING


@pytest.mark.parametrize("path", ["/sitemap.xml", "/sitemap.xml?again=1"])
def test_an_index_that_names_itself_is_refused(site, take, everything, path):
    for name in ("/sitemap.xml", path):
        site.put(name, index(f"{site.url}{path}"))

    with pytest.raises(ContractBroken, match="index"):
        take()

    assert everything() == NOTHING
    assert len(site.journal) <= 2


@pytest.mark.parametrize(
    "child",
    ["http://169.254.169.254/a.xml", "http://127.0.0.1:1/a.xml", "https://other.test/a.xml"],
)
def test_an_index_that_names_another_host_is_refused(site, take, everything, child):
    site.put("/sitemap.xml", index(child))

    with pytest.raises(PolicyRefused, match="another host"):
        take()

    assert everything() == NOTHING


def test_an_index_of_too_many_files_is_refused(site, take, everything):
    site.put("/sitemap.xml", index(*(f"{site.url}/{number}.xml" for number in range(51))))

    with pytest.raises(ContractBroken, match="more than 50"):
        take()

    assert site.journal == ["/sitemap.xml"]
    assert everything() == NOTHING


def test_two_sites_do_not_mix(site, take, ask):
    site.put("/sitemap.xml", urlset(url(site, "a")))
    take()
    other = f"localhost:{site.port}"
    site.put("/other.xml", urlset(f"<url><loc>http://{other}/a</loc></url>"))

    report = take(site_url=f"http://{other}/other.xml", allow_hosts=(other,))

    assert report.added is None
    assert ask("select count(distinct site) from landing.sitemap_url") == [(2,)]


def test_warnings_are_stored(site, take, ask):
    site.put("/sitemap.xml", urlset(url(site, "a"), "<url><loc>/b</loc></url>"))

    report = take()

    assert report.warnings == {"location not absolute http(s)": 1}
    assert ask("select warnings from landing.sitemap_snapshot") == [(report.warnings,)]


def test_no_sitemap_is_a_setting_to_fix(take):
    with pytest.raises(ConfigError, match="OCD_SITEMAP_URL"):
        take(site_url=None)
