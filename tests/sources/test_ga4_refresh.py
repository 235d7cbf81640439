"""A refresh replaces partitions one by one, reads young days again, and keeps what was restated."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import (
    ConfigError,
    LeaseLost,
    PolicyRefused,
    QuotaExhausted,
    SourceUnavailable,
    TooEarly,
)
from ocd.sources.ga4 import refresh as refreshing
from ocd.sources.ga4.backends import opened
from ocd.sources.ga4.policy import (
    DAILY_DAYS,
    FRESH,
    WEEKLY_DAYS,
    Stored,
    ends_at,
    is_provisional,
    to_read_again,
    trailing_days,
)
from ocd.sources.ga4.refresh import Source, refresh
from ocd.sources.ga4.reports import CHANNELS
from tests.sources.ga4 import DAY, NOW, PROPERTY, channels, pages, settings_for

NIGHT = timedelta(days=1)
SUNDAY = date(2026, 11, 22)


@pytest.fixture
def go(ga4, conn, next_run, tmp_path):
    """Refresh a day from the fake, with small pages."""

    def make(day=DAY, backend="rest", run=None, now=NOW, **changed):
        with opened(settings_for(ga4, backend, tmp_path)) as client:
            origin = "recorded" if backend == "recorded" else "live"
            source = Source(client, PROPERTY, origin, page_rows=2, **changed)
            return refresh(conn, source, day=day, now=now, run=run or next_run(day.isoformat()))

    return make


def stored(conn):
    rows = conn.execute(
        text("""
            select p.report, p.day, p.origin, p.row_count, r.dimensions, r.metrics
            from landing.ga_partition p left join landing.ga_row r on r.partition_id = p.id
            order by p.report, p.day, r.row_number
        """)
    ).all()
    conn.rollback()
    return [tuple(row) for row in rows]


def column(conn, name, table="landing.ga_partition", order="day, report"):
    found = conn.execute(text(f"select {name} from {table} order by {order}")).scalars().all()
    conn.rollback()
    return found


def test_a_refresh_stores_every_report_with_its_flags(conn, go, ga4):
    ga4.set(rows={"date": pages(3), "sessionDefaultChannelGroup": channels(2)})
    ga4.set(metadata_at={"2": {"subjectToThresholding": True}})

    report = go()

    assert report.rows_by_report == {"landing_pages": 3, "channels": 2}
    assert (report.rows, report.origin, report.is_provisional) == (5, "live", True)
    assert len(stored(conn)) == 5
    flags = conn.execute(text("select report, is_thresholded from landing.ga_partition")).all()
    assert {tuple(row) for row in flags} == {("landing_pages", True), ("channels", False)}
    assert column(conn, "totals", order="report") == [
        {"sessions": "3", "totalUsers": "1"},
        {"sessions": "6"},
    ]


def test_what_is_stored_is_what_google_said_to_the_letter(conn, go, ga4):
    strange = ["", "(not set)", "/ü\t\n\\n\"'%s", "\\u0000", "/\x00", "/🎉", "/" + "x" * 9000]
    ga4.set(rows={"date": [[["20261123", value], ["1"]] for value in strange]})

    go()

    landed = [row[4]["landingPage"] for row in stored(conn) if row[0] == "landing_pages"]
    assert landed == [value.replace("\x00", "\ufffd") for value in strange]


def test_a_day_refreshed_twice_is_replaced_not_doubled(conn, go, ga4):
    ga4.set(rows={"date": pages(3), "sessionDefaultChannelGroup": channels(2)})
    go()
    ga4.set(rows={"date": pages(2, "/new-{}"), "sessionDefaultChannelGroup": channels(2)})

    for _ in range(2):
        go(now=NOW + 4 * NIGHT)

    found = stored(conn)
    assert [row[4]["landingPage"] for row in found if row[0] == "landing_pages"] == [
        "/new-0",
        "/new-1",
    ]
    assert len(found) == 4
    assert column(conn, "is_provisional") == [False, False]


def test_restated_numbers_are_kept_with_what_stood_there(conn, go, ga4):
    ga4.set(rows={"date": pages(3), "sessionDefaultChannelGroup": channels(2)})
    go()
    ga4.set(rows={"date": pages(4), "sessionDefaultChannelGroup": channels(2)})

    report = go(now=NOW + NIGHT)

    kept = conn.execute(text("select * from landing.ga_restatement")).mappings().one()
    assert (report.restated, kept["report"], kept["day"]) == (1, "landing_pages", DAY)
    assert (kept["rows_before"], kept["rows_after"]) == (3, 4)
    assert (kept["totals_before"], kept["totals_after"]) == ({"sessions": "6"}, {"sessions": "10"})
    assert kept["fetched_at"] - kept["fetched_before_at"] == NIGHT
    assert [at is None for at in column(conn, "restated_at", order="report")] == [True, False]


def test_the_same_numbers_again_are_no_restatement(conn, go, ga4):
    ga4.set(rows={"date": pages(3)})

    reports = [go(now=NOW + n * NIGHT) for n in range(2)]

    assert [one.restated for one in reports] == [0, 0]
    assert column(conn, "count(*)", "landing.ga_restatement", "1") == [0]
    assert set(column(conn, "fetched_at")) == {NOW + NIGHT}


def test_live_numbers_after_recorded_ones_are_no_restatement(conn, go, ga4):
    ga4.set(rows={"date": pages(3)})
    go(backend="recorded")
    ga4.set(rows={"date": pages(4)})

    report = go()

    assert report.restated == 0
    assert {row[2] for row in stored(conn)} == {"live"}


def test_an_empty_day_replaces_a_full_one(conn, go, ga4):
    ga4.set(rows={"date": pages(3)})
    go()
    ga4.set(rows={"date": []})

    report = go()

    assert report.rows == 0
    assert [row[3:] for row in stored(conn)] == [(0, None, None)] * 2


def test_recorded_data_never_replaces_live_data(conn, go, ga4):
    ga4.set(rows={"date": pages(3), "sessionDefaultChannelGroup": channels(2)})
    go()
    before = stored(conn)
    ga4.set(rows={"date": pages(1)})

    with pytest.raises(PolicyRefused, match="recorded"):
        go(backend="recorded")

    assert stored(conn) == before


@pytest.mark.parametrize("status", [403, 429, 500])
def test_a_report_that_fails_keeps_its_old_partition(conn, go, ga4, status):
    ga4.set(rows={"date": pages(3), "sessionDefaultChannelGroup": channels(2)})
    go()
    ga4.set(rows={"date": pages(1), "sessionDefaultChannelGroup": channels(1)})
    ga4.set(refusal=[status, "no"], refuse_only=CHANNELS.dimensions[0])

    with pytest.raises((ConfigError, QuotaExhausted, SourceUnavailable)):
        go()

    assert [(row[0], row[3]) for row in stored(conn)] == [("channels", 2)] * 2 + [
        ("landing_pages", 1)
    ]


def test_an_attempt_goes_on_behind_what_the_one_before_committed(conn, go, ga4, next_run):
    ga4.set(rows={"date": pages(3), "sessionDefaultChannelGroup": channels(2)})
    ga4.set(refusal=[503, "no"], refuse_only=CHANNELS.dimensions[0])
    run = next_run()
    with pytest.raises(SourceUnavailable):
        go(run=run)
    ga4.set(refusal=None)
    before = len(ga4.journal)
    run.checkpoint = conn.execute(
        text("select checkpoint from ocd.run where id = :id"), {"id": run.id}
    ).scalar()

    report = go(run=run)

    asked = [one["body"]["dimensions"][0]["name"] for one in ga4.journal[before:]]
    assert asked == ["sessionDefaultChannelGroup"]
    assert report.rows_by_report == {"landing_pages": 3, "channels": 2}


def test_every_night_reads_young_days_again_until_they_are_final(conn, go, ga4):
    """Restated day by day, each day ends with the numbers that it has when it is three days old."""
    ga4.set(made_up=3, today="2026-11-24")
    for n in range(6):
        day = DAY + n * NIGHT
        go(day, now=NOW + n * NIGHT)
        ga4.move_clock(24)

    final = [DAY + n * NIGHT for n in range(3)]
    ages = {row.day: row.fetched_at - NOW for row in partitions(conn)}
    assert [ages[day] - (day - DAY) for day in final] == [2 * NIGHT] * 3
    assert [row.is_provisional for row in partitions(conn) if row.day in final] == [False] * 6
    expected = settled_totals(ga4, final)
    assert {row.day: int(row.totals["sessions"]) for row in partitions(conn) if row.report == "landing_pages" and row.day in final} == expected  # fmt: skip
    restated = column(conn, "day", "landing.ga_restatement", "day")
    assert set(restated) >= set(final)


def partitions(conn):
    found = conn.execute(text("select * from landing.ga_partition order by day, report")).all()
    conn.rollback()
    return found


def settled_totals(ga4, days):
    found = {}
    for day in days:
        body = {
            "dateRanges": [{"startDate": day.isoformat()}],
            "dimensions": [{"name": "date"}, {"name": "landingPage"}],
            "metrics": [{"name": "sessions"}],
        }
        rows = ga4.ask(PROPERTY, body)["rows"]
        found[day] = sum(int(row["metricValues"][0]["value"]) for row in rows)
    return found


def test_a_day_that_was_never_read_is_not_read_as_a_neighbour(conn, go, ga4):
    ga4.set(made_up=1)

    go()

    assert set(column(conn, "day")) == {DAY}


def test_neighbours_in_a_backfill_do_not_read_each_other(conn, go, ga4):
    ga4.set(made_up=1)

    for n in range(4):
        go(DAY - n * NIGHT)
    for n in range(4):
        go(DAY - n * NIGHT)

    assert len(ga4.journal) == 2 * 4 * 2


@pytest.mark.parametrize(
    ("day", "days"), [(DAY, DAILY_DAYS), (SUNDAY, WEEKLY_DAYS), (SUNDAY + NIGHT, DAILY_DAYS)]
)
def test_a_sunday_looks_back_further(day, days):
    assert trailing_days(day) == days


@pytest.mark.parametrize(
    ("day", "age", "provisional", "expected"),
    [
        (DAY, FRESH, True, True),
        (DAY, FRESH - timedelta(seconds=1), True, False),
        (DAY, FRESH, False, False),
        (SUNDAY, FRESH, False, True),
        (SUNDAY, timedelta(0), False, False),
    ],
)
def test_what_is_read_again(day, age, provisional, expected):
    one = Stored("channels", day - 2 * NIGHT, NOW - age, provisional)

    assert to_read_again(day, [one], NOW) == ([one] if expected else [])


@pytest.mark.parametrize(("age", "expected"), [(0, True), (2, True), (3, False), (30, False)])
def test_a_day_is_provisional_until_google_stops_restating(age, expected):
    assert is_provisional(NOW.date() - timedelta(days=age), NOW) is expected


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        (date(2026, 11, 23), None, datetime(2026, 11, 24, tzinfo=UTC)),
        (date(2026, 11, 23), "America/Los_Angeles", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        (date(2026, 3, 8), "America/Los_Angeles", datetime(2026, 3, 9, 7, tzinfo=UTC)),
        (date(2026, 11, 1), "America/Los_Angeles", datetime(2026, 11, 2, 8, tzinfo=UTC)),
        (date(2026, 11, 23), "Pacific/Auckland", datetime(2026, 11, 23, 11, tzinfo=UTC)),
    ],
)
def test_a_day_ends_at_midnight_of_the_property(day, zone, expected):
    assert ends_at(day, zone) == expected


@pytest.mark.parametrize("known", [False, True], ids=["zone not known yet", "zone known"])
def test_a_day_that_goes_on_in_the_property_waits_for_its_end(conn, go, ga4, known):
    ga4.set(made_up=2, time_zone="Pacific/Honolulu")
    if known:
        go(DAY - NIGHT)
    before = len(ga4.journal)

    with pytest.raises(TooEarly, match="not over in Pacific/Honolulu") as caught:
        go(now=datetime(2026, 11, 24, 9, tzinfo=UTC))

    assert caught.value.retry_after_s == 3600
    assert DAY not in column(conn, "day")
    assert len(ga4.journal) - before == (0 if known else 1)
    assert go(now=datetime(2026, 11, 24, 10, tzinfo=UTC)).rows == 4


@pytest.mark.parametrize(
    ("changed", "what"),
    [({"time_zone": "America/Denver"}, "time zone"), ({"currency": "EUR"}, "currency")],
)
def test_another_time_zone_or_currency_alarms_once(conn, go, ga4, changed, what):
    ga4.set(made_up=1)
    go()
    ga4.set(**changed)

    for n in (4, 5):
        go(DAY + n * NIGHT, now=NOW + n * NIGHT)

    found = conn.execute(text("select cause, summary, times, how_to from ocd.incident")).one()
    assert found.cause == f"ga4 {what}:{PROPERTY}"
    assert "days before and after do not compare" in found.summary
    assert (found.times, found.how_to) == (1, refreshing.HOW_TO)
    conn.rollback()
    kept = column(conn, "distinct (time_zone, currency)::text", order="1")
    assert len(kept) == 2, "each partition keeps its own"


def test_a_run_that_lost_its_lease_writes_nothing(conn, go, ga4, next_run):
    ga4.set(made_up=2)
    run = next_run()
    run.fence -= 1

    with pytest.raises(LeaseLost):
        go(run=run)

    assert stored(conn) == []


def test_memory_stays_flat_in_rows(conn, ga4, next_run, tmp_path):
    def peak(pages):
        ga4.set(made_up=1_000 * pages)
        with opened(settings_for(ga4, "rest", tmp_path)) as client:
            source = Source(client, PROPERTY, "live", page_rows=1_000)
            run = next_run()
            gc.collect()
            tracemalloc.start()
            report = refresh(conn, source, day=DAY, now=NOW, run=run)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert report.rows == 2 * 1_000 * pages
        return found

    peak(2)  # what is made once and kept is nobody's growth

    # Growing with the rows would be 3; answers that stay until the collector runs gave 1.5.
    assert peak(45) < 1.3 * peak(15)
