"""The age of the newest row is data; a table that stands still is told of once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.database.freshness import State, judge, measure, of_sources
from ocd.datasets.decisions import DECISION_SYNC_EVENT_LOGS
from ocd.datasets.facts import Feed
from ocd.datasets.registry import DATASETS
from tests.factories.clock import NOW

DAY = Feed(("x",), timedelta(hours=24))


@pytest.mark.parametrize(
    ("feed", "age", "state"),
    [
        (DAY, timedelta(hours=24), State.FRESH),
        (DAY, timedelta(hours=24, seconds=1), State.STALE),
        (DAY, timedelta(hours=-3), State.FRESH),
        (Feed(("x",)), timedelta(days=900), State.FRESH),
    ],
    ids=["just in time", "a second late", "of after the window", "without a limit"],
)
def test_a_table_is_stale_past_its_limit(feed, age, state):
    assert judge(feed, NOW - age, as_of=NOW) is state


def test_a_table_that_never_had_a_row_is_empty_not_stale():
    assert judge(DAY, None, as_of=NOW) is State.EMPTY


@pytest.fixture
def sync(conn):
    """Add a decision sync of an instant."""

    def add(created_at):
        conn.execute(
            text(
                "insert into decision_sync_event_logs (decision_id, status, created_at) values (1, 'ok', :at)"
            ),
            {"at": created_at},
        )
        conn.commit()

    return add


def of_syncs(report):
    return next(one for one in report.tables if one.dataset == DECISION_SYNC_EVENT_LOGS.name)


def open_causes(conn):
    found = conn.execute(text("select cause, summary from ocd.incident where closed_at is null"))
    rows = dict(found.all())
    conn.rollback()
    return rows


def test_it_says_the_age_as_of_the_windows_end(conn, start_run, sync):
    run = start_run("database.freshness")
    sync(run.window.end - timedelta(hours=5))

    found = of_syncs(measure(conn, run=run))

    assert (found.state, found.age_hours, found.limit_hours) == (State.FRESH, 5.0, 24.0)


def test_a_stale_table_opens_one_incident_that_closes_when_rows_come(conn, start_run, sync):
    first, second, third = (
        start_run("database.freshness", day) for day in ("2026-11-22", "2026-11-23", "2026-11-24")
    )
    sync(first.window.end - timedelta(hours=30))
    report = measure(conn, run=first)
    measure(conn, run=second)
    stale = open_causes(conn)
    sync(third.window.end - timedelta(hours=1))

    measure(conn, run=third)

    assert of_syncs(report).state is State.STALE
    assert "public.decision_sync_event_logs: the newest row is 54.0 hours old" in stale.pop(
        "stale:decision_sync_event_logs"
    )
    assert stale == {}
    assert open_causes(conn) == {}


def test_every_table_with_a_limit_is_looked_at(conn, start_run):
    report = measure(conn, run=start_run("database.freshness"))

    assert {one.dataset for one in report.tables} == {
        one.name for one in DATASETS if one.feed.fresh_within
    }
    assert report.summary.endswith("none stale")


@pytest.mark.parametrize(
    "dataset", [one for one in DATASETS if one.feed.fresh_within], ids=lambda one: one.name
)
def test_the_newest_row_is_found_by_an_index(conn, dataset):
    leading = conn.execute(
        text("""
            select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = to_regclass(:table) and i.indpred is null
        """),
        {"table": dataset.table},
    ).scalars()

    assert dataset.event_time in set(leading)


def test_the_sources_are_the_tables_that_the_outside_fills(conn, start_run):
    conn.execute(
        text("""
            insert into landing.sitemap_snapshot (site, source_url, taken_at, run_id, file_count, url_count,
              duplicate_count, bytes_read, content_sha256, is_lastmod_uniform)
            values ('shop.test', 'u', :at, 1, 1, 1, 0, 1, 'x', false)
        """),
        {"at": NOW - timedelta(hours=37)},
    )

    found = {one.dataset: one for one in of_sources(conn, as_of=NOW)}

    sitemap = found["sitemap_snapshots"]
    assert (sitemap.state, sitemap.age_hours, sitemap.limit_hours) == (State.STALE, 37.0, 36.0)
    assert found["shopify_inventory"].state is State.EMPTY
    assert "metric_facts" not in found
