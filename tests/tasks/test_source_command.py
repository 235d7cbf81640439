"""`ocd source` and the sources' ages in `ocd status`, as a person sees them."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import text

from ocd.core.settings import Settings
from ocd.sources.ga4.backends import opened
from ocd.sources.ga4.metered import MeteredClient
from ocd.sources.ga4.refresh import Source, refresh
from tests.factories.clock import NOW
from tests.factories.sitemaps import many
from tests.fakes.ga4 import LIMITS, running_ga4
from tests.fakes.site import fake_site
from tests.shell import Shell

PROPERTY = "123456"
TOKEN = "ya29.very-secret"


@pytest.fixture(scope="module")
def ga4():
    with running_ga4() as fake:
        yield fake


@pytest.fixture
def site():
    with fake_site() as fake:
        yield fake


@pytest.fixture
def live(ga4, db, tmp_path):
    """A shell on a configured database, whose GA4 is the fake."""
    ga4.forget()
    ga4.set(made_up=3, time_zone="UTC")
    environment = {
        "OCD_DATABASE_URL": db.url,
        "OCD_REDIS_URL": "redis://127.0.0.1:1/0",
        "OCD_GA_BACKEND": "rest",
        "OCD_GA_PROPERTY": PROPERTY,
        "OCD_GA_API_URL": ga4.url,
        "OCD_GA_ACCESS_TOKEN": TOKEN,
    }
    return Shell(tmp_path / ".ocd", environment)


def test_a_source_that_answers_says_so(live, ga4):
    done = live("source", "test", "ga4")

    assert f"backend rest answers for property {PROPERTY}" in done.stdout
    assert "time zone UTC, currency USD" in done.stdout
    assert "OCD_SHOP_TIME_ZONE" not in done.stdout
    assert len(ga4.journal) == 1


def test_another_time_zone_than_the_shop_s_is_said(live, ga4):
    ga4.set(time_zone="America/Chicago")

    assert "set OCD_SHOP_TIME_ZONE=America/Chicago" in live("source", "test", "ga4").stdout


@pytest.mark.parametrize(
    ("refusal", "env", "says"),
    [
        ([401, "no"], {}, "renew OCD_GA_ACCESS_TOKEN"),
        ([403, "no"], {}, "Viewer role"),
        (None, {"OCD_GA_ACCESS_TOKEN": ""}, "needs OCD_GA_CREDENTIALS_FILE or OCD_GA_ACCESS_TOKEN"),
        (None, {"OCD_GA_API_URL": "http://127.0.0.1:1"}, "did not answer"),
        (None, {"OCD_GA_BACKEND": "mcp"}, "OCD_GA_MCP_URL or OCD_GA_MCP_COMMAND"),
    ],
)
def test_what_is_missing_is_named(live, ga4, refusal, env, says):
    ga4.set(refusal=refusal)

    done = live("source", "test", "ga4", code=1, **env)

    assert says in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    found = live.json("source", "test", "ga4", code=1, **env)
    assert (found["is_well"], found["said"]) == (False, [])


def test_a_source_that_does_not_exist_is_named(live):
    assert "did you mean 'ga4'" in live("source", "test", "ga", code=2).stderr


def test_before_the_first_read_nothing_is_made_up(live):
    found = live.json("source", "status")

    assert found["ga4"]["age_hours"] is None
    assert found["ga4"]["usage"]["hit_ratio"] is None
    assert (found["sitemap"]["newest"], found["sitemap"]["held"]) == (None, [])
    shown = live("source", "status").stdout
    assert "ga4: never read" in shown
    assert "sitemap: never read" in shown


def test_age_quota_latency_and_hits_are_shown(live, ga4, db, conn, start_run):
    ga4.set(remaining=LIMITS | {"tokensPerDay": 150_000}, cost=10)
    settings = Settings(
        ga_backend="rest", ga_property=PROPERTY, ga_api_url=ga4.url, ga_access_token=TOKEN
    )
    with opened(settings) as client:
        source = Source(MeteredClient(client, db.engine, run_id=1), PROPERTY, "live")
        refresh(conn, source, day=date(2026, 11, 23), now=NOW, run=start_run())
    with db.engine.begin() as conn:
        conn.execute(
            text(
                "update landing.ga_partition set fetched_at = now() - interval '40 hours', is_thresholded = true"
            )
        )

    found = live.json("source", "status")["ga4"]
    shown = live("source", "status").stdout

    assert found["state"] == "stale"
    assert "ga4: read 40 h ago, at most 36 h are meant" in shown
    assert found["usage"]["requests"] == 2
    assert found["quotas"][0]["remaining"] == 149_980
    assert "tokensPerDay: 149,980 of 200,000 left" in shown
    assert f"of {PROPERTY}, live, provisional, incomplete" in shown
    status = live.json("status")
    assert {one["dataset"]: one["state"] for one in status["sources"]}["ga_partitions"] == "stale"
    assert "ga_partitions" in live("status").stdout


@pytest.fixture
def sitemap(site, live):
    """The same shell, and a site whose sitemap it may read."""
    site.put("/robots.txt", "User-agent: *\nSitemap: /shop.xml\n")
    site.put("/shop.xml", many(site.url, 5))
    live.environment |= {"OCD_SITEMAP_URL": site.url, "OCD_SITEMAP_ALLOW_HOSTS": site.host}
    return live


def test_a_sitemap_that_answers_says_so(sitemap, site):
    said = sitemap("source", "test", "sitemap").stdout

    assert "sitemap: robots.txt: 1 sitemaps named" in said
    assert f"sitemap: sitemap: {site.url}/shop.xml holds 5 URLs" in said


def test_what_a_sitemap_misses_is_named_behind_what_worked(sitemap):
    found = sitemap.json("source", "test", "sitemap", code=1, OCD_SITEMAP_ALLOW_HOSTS="")

    assert found["is_well"] is False
    assert found["said"][0].startswith("setting: OCD_SITEMAP_URL names ")
    assert "address: " in found["fault"]
    assert "OCD_SITEMAP_ALLOW_HOSTS" in found["fault"]


def test_the_last_reading_and_what_was_held_since_are_shown(live, conn):
    conn.execute(
        text("""
            insert into landing.sitemap_snapshot (site, source_url, taken_at, run_id, file_count, url_count,
              duplicate_count, bytes_read, content_sha256, is_lastmod_uniform, added_count, removed_count, changed_count)
            values ('shop.test', 'u', now() - interval '5 hours', 1, 2, 60, 0, 1, 'x', false, 3, 2, 1)
        """)
    )
    conn.execute(
        text("""
            insert into landing.sitemap_held
              (site, taken_at, run_id, standing_id, url_count, added_count, removed_count, reason)
            select 'shop.test', now() + days * interval '1 day', 7, id, 10, 0, 50, 'so much is missing'
            from landing.sitemap_snapshot, (values (-1), (0)) held (days)
        """)
    )
    conn.commit()

    found = live.json("source", "status")["sitemap"]
    shown = live("source", "status").stdout

    assert (found["state"], found["newest"]["url_count"]) == ("fresh", 60)
    assert len(found["held"]) == 1, "one that was held before the newest reading is over"
    assert "sitemap: read 5 h ago\n" in shown
    assert "60 URLs in 2 files" in shown
    assert "3 added, 2 removed, 1 changed" in shown
    assert "run 7: so much is missing" in shown
