"""A sitemap that changed too much at once is held: nobody's pages count as removed until a person says so."""

from __future__ import annotations

import json

import pytest

from ocd.core.errors import ApprovalNeeded, PolicyRefused, SourceUnavailable
from ocd.ledger import approvals
from ocd.sources.sitemaps import history, policy
from ocd.sources.sitemaps.policy import Diff
from tests.factories.sitemaps import entry, index, many, shop_days, urlset

STANDS = "select loc, first_snapshot_id, gone_snapshot_id from landing.sitemap_url order by loc, id"


def locs(prefix, count):
    return [f"https://shop.test/{prefix}{number}" for number in range(count)]


def judged(before, after, **files):
    diff = policy.compare(dict.fromkeys(before, "f"), dict.fromkeys(after, "f"))
    return policy.doubt(before, after, diff, **files)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (locs("a", 50), locs("a", 39), "39 URLs where 50 stood"),
        (locs("a", 50), locs("a", 1), "1 URLs where 50 stood"),
        (locs("a", 3), locs("a", 2), "2 URLs where 3 stood"),
        (locs("a", 556), locs("a", 938), "382 new URLs where 556 stood"),
        (locs("a", 50), [*locs("a", 35), *locs("b", 15)], "15 of 50 URLs replaced at once"),
    ],
    ids=["shrunken", "truncated", "a small site", "jumped", "replaced"],
)
def test_too_much_at_once_is_doubted(before, after, reason):
    found = judged(before, after)

    assert found.reason == reason
    assert found.asks == {
        "added": len(set(after) - set(before)),
        "removed": len(set(before) - set(after)),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], locs("a", 500)),
        (locs("a", 50), locs("a", 40)),
        (locs("a", 5), locs("a", 4)),
        (locs("a", 10), locs("a", 20)),
        (locs("a", 100), locs("a", 120)),
        (locs("a", 4), locs("b", 4)),
    ],
    ids=["the first", "a fifth less", "one of five", "ten more", "a fifth more", "few replaced"],
)
def test_little_is_believed(before, after):
    assert judged(before, after) is None


@pytest.mark.parametrize(
    ("files_after", "is_doubted"),
    [
        ({"/products.xml": 95}, True),
        ({"/products.xml": 95, "/pages.xml": 0}, True),
        ({"/products.xml": 95, "/pages.xml": 5}, False),
        ({"/all.xml": 95, "/pages.xml": 5}, False),
    ],
    ids=["gone", "empty", "there", "renamed without a loss"],
)
def test_a_file_that_is_empty_or_gone_is_doubted_however_small(files_after, is_doubted):
    before = [*locs("product", 95), *locs("page", 5)]
    after = before[: sum(files_after.values())]

    found = judged(
        before,
        after,
        files_before={"/products.xml": 95, "/pages.xml": 5},
        files_after=files_after,
    )

    assert (found is not None) is is_doubted


@pytest.mark.parametrize("count", [1, 39, 90])
def test_a_held_reading_asks_and_changes_nothing_that_stands(site, take, ask, count):
    site.put("/sitemap.xml", many(site.url, 50))
    take()
    before = ask(STANDS)
    site.put("/sitemap.xml", many(site.url, count))

    with pytest.raises(ApprovalNeeded, match="held, nothing counts as added or removed"):
        take()

    assert ask(STANDS) == before
    assert ask("select count(*) from landing.sitemap_snapshot") == [(1,)]
    (run_id,) = ask("select run_id from ocd.approval where approved_at is null")[0]
    assert run_id == take.runs[-1].id
    held = "select run_id, url_count, added_count, removed_count from landing.sitemap_held"
    assert ask(held) == [(run_id, count, max(count - 50, 0), max(50 - count, 0))]


def test_a_held_reading_leaves_its_files_for_people_to_look_at(site, take, ask, store):
    site.put("/sitemap.xml", many(site.url, 50))
    take()
    site.put("/sitemap.xml", many(site.url, 3))

    with pytest.raises(ApprovalNeeded):
        take()

    kept = dict(ask(f"select kind, name from ocd.artifact where run_id = {take.runs[-1].id}"))
    assert kept.keys() == {"sitemap-body", "sitemap-diff", "sitemap-report"}
    diff = json.loads(b"".join(store.open(kept["sitemap-diff"])))
    assert (len(diff["removed"]), diff["doubt"]) == (47, "3 URLs where 50 stood")
    assert "Held" in b"".join(store.open(kept["sitemap-report"])).decode()


@pytest.fixture
def approve(conn):
    def yes(run):
        approvals.approve(
            conn, run.id, reason="old range sold", approved_by="mara", may_be_same=True
        )
        conn.commit()

    return yes


def test_what_a_person_approved_is_stored(site, take, ask, approve):
    site.put("/sitemap.xml", many(site.url, 50))
    take()
    site.put("/sitemap.xml", many(site.url, 3, lastmod="2026-11-01"))
    with pytest.raises(ApprovalNeeded):
        take()
    held = take.runs[-1]
    approve(held)
    site.put("/sitemap.xml", many(site.url, 3, lastmod="2026-11-02"))

    report = take(held)

    assert (report.removed, report.doubt) == (47, "3 URLs where 50 stood")
    assert ask("select count(*) from landing.sitemap_url where gone_snapshot_id is null") == [(3,)]


def test_other_pages_than_the_approved_ones_are_asked_about_anew(site, take, approve):
    site.put("/sitemap.xml", many(site.url, 50))
    take()
    site.put("/sitemap.xml", many(site.url, 3))
    with pytest.raises(ApprovalNeeded):
        take()
    held = take.runs[-1]
    approve(held)
    site.put("/sitemap.xml", urlset(*(entry(f"{site.url}/other/{n}") for n in range(3))))

    with pytest.raises(ApprovalNeeded):
        take(held)


def test_the_shop_recovers_by_itself(site, take):
    """The reading after a held one is compared with what was believed last."""
    site.put("/sitemap.xml", many(site.url, 50))
    take()
    site.put("/sitemap.xml", many(site.url, 3))
    with pytest.raises(ApprovalNeeded):
        take()
    site.put("/sitemap.xml", many(site.url, 51))

    report = take()

    assert (report.added, report.removed, report.doubt) == (1, 0, None)


def test_a_file_that_an_index_no_longer_names_is_held(site, take):
    products = site.put("/products.xml", many(site.url, 95))
    pages = site.put("/pages.xml", urlset(entry(f"{site.url}/pages/about")))
    site.put("/sitemap.xml", index(f"{products}?from=1&amp;to=9", pages))
    take()
    site.put("/sitemap.xml", index(f"{products}?from=1&amp;to=10"))

    with pytest.raises(ApprovalNeeded, match="1 of 3 files with 1 URLs are empty or gone"):
        take()


def test_a_file_is_the_same_whatever_its_query_says(site, take):
    products = site.put("/products.xml", many(site.url, 95))
    site.put("/sitemap.xml", index(f"{products}?from=1&amp;to=9"))
    take()
    site.put("/sitemap.xml", index(f"{products}?from=2&amp;to=10"))

    report = take()

    assert (report.added, report.removed) == (0, 0)


def test_a_dry_run_says_the_same_and_writes_nothing(site, take, ask):
    site.put("/sitemap.xml", many(site.url, 50))
    dry = take(dry_run=True)
    assert ask("select count(*) from landing.sitemap_snapshot") == [(0,)]
    assert ask("select count(*) from ocd.artifact") == [(0,)]
    assert take() == dry
    site.put("/sitemap.xml", many(site.url, 3))

    doubted = take(dry_run=True)

    assert doubted.doubt == "3 URLs where 50 stood"
    assert ask("select count(*) from ocd.approval") == [(0,)]
    assert ask("select count(*) from landing.sitemap_held") == [(0,)]


def test_of_two_readings_at_once_the_second_is_tried_again(site, take, monkeypatch):
    site.put("/sitemap.xml", many(site.url, 50))
    real = history.standing

    def overtaken(conn, site_name):
        found = real(conn, site_name)
        monkeypatch.setattr(history, "standing", real)
        conn.rollback()
        take()
        return found

    monkeypatch.setattr(history, "standing", overtaken)

    with pytest.raises(SourceUnavailable, match="meanwhile"):
        take()


def test_no_false_removal_over_85_days_and_the_jumps_held(site, take, ask):
    """The worst real series: every lastmod new every day, two days with two thirds more URLs."""
    jumps = frozenset({10, 58})
    site.series = [day.encode() for day in shop_days(site.url, days=85, seed=20, jumps=jumps)]
    held, last, counted = set(), frozenset(), []
    for day in range(len(site.series)):
        site.day = day
        listed = frozenset(
            part.split("</loc>")[0] for part in site.series[day].decode().split("<loc>")[1:]
        )
        try:
            report = take()
        except PolicyRefused:
            held.add(day)
            continue
        if last:
            counted.append((report.removed, len(last - listed), report.added, len(listed - last)))
        last = listed

    assert held == jumps
    assert all(removed == truly and added == new for removed, truly, added, new in counted)
    assert sum(removed for removed, *_ in counted) < 40
    assert ask("select count(*) from landing.sitemap_url where loc like '%part-9___'") == [(0,)]


def test_the_difference_between_any_two_readings_is_known(conn, site, take, store):
    def put(*slugs, lastmod="2026-11-01", image="1.jpg"):
        site.put(
            "/sitemap.xml",
            urlset(
                entry(f"{site.url}/same", lastmod),
                entry(f"{site.url}/changed", None, image),
                *(entry(f"{site.url}/{slug}") for slug in slugs),
            ),
        )
        take()

    put("a", "b")
    put("a", "c")
    put("a", "b", "d", lastmod="2026-11-03", image="2.jpg")
    (first, _, third) = (one["id"] for one in reversed(history.readings(conn, site=site.host)))

    found = history.diff(conn, store, first, third)

    assert found == Diff(
        added=(f"{site.url}/d",),
        removed=(),
        content_changed=(f"{site.url}/changed",),
        lastmod_only=(f"{site.url}/same",),
    )
    assert history.diff(conn, store, third, first).removed == (f"{site.url}/d",)
