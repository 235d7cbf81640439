"""What a day brought is counted by the hour, kept, and held against the same hours of earlier weeks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from ocd.core.errors import LeaseLost
from ocd.datasets.agents import AGENT_QUERIES
from ocd.datasets.registry import DATASETS
from ocd.ledger.windows import day_window
from ocd.quality.completeness import by_day, history, measure, null_shares
from ocd.quality.hours import Seen, expectations, hours_between, place_of
from tests.factories.agents import make_query

DAY = datetime(2026, 11, 23, tzinfo=UTC)
CHICAGO = ZoneInfo("America/Chicago")


@pytest.fixture
def count(conn, start_run):
    """Measure a day of the queries."""

    def deed(day=DAY, now=None):
        conn.commit()
        run = start_run("quality.completeness", f"{day:%Y-%m-%d}")
        return measure(
            conn, (AGENT_QUERIES,), run=run, zone=UTC, now=now or day + timedelta(days=1)
        )

    return deed


def add(conn, at, rows, **columns):
    for minute in range(rows):
        make_query(conn, created_at=at + timedelta(seconds=minute), **columns)


@pytest.fixture
def earlier_weeks(conn, count):
    """Six Mondays: 40 rows at nine, 10 at fifteen, a fifth of them not reviewed."""
    for week in range(6, 0, -1):
        day = DAY - timedelta(weeks=week)
        add(conn, day + timedelta(hours=9), 40 + week % 3, approved=True)
        add(conn, day + timedelta(hours=15), 10, approved=None)
        count(day)


@pytest.mark.usefixtures("earlier_weeks")
def test_a_day_as_ever_is_as_usual(conn, count):
    add(conn, DAY + timedelta(hours=9), 38, approved=True)
    add(conn, DAY + timedelta(hours=15), 9, approved=None)

    report = count()

    assert (report.rows, report.short, report.odd_nulls) == (47, (), ())
    assert report.summary == "47 rows of the day in 1 tables: as usual"


@pytest.mark.usefixtures("earlier_weeks")
def test_an_hour_that_brought_nothing_is_short_and_the_day_with_it(conn, count):
    add(conn, DAY + timedelta(hours=15), 10, approved=None)

    report = count()

    (short,) = report.short
    assert (short.seen, short.expected, short.short_hours) == (10, 51.0, 1)
    assert short.is_whole_day
    (hour,) = [one for one in history_of(conn) if one.is_short]
    assert (hour.hour_at.hour, hour.seen, hour.expected) == (9, 0, 41.0)


@pytest.mark.usefixtures("earlier_weeks")
def test_another_weekday_is_not_held_against_mondays(conn, count):
    assert count(DAY + timedelta(days=1)).short == ()


@pytest.mark.usefixtures("earlier_weeks")
def test_a_column_that_suddenly_lacks_values_is_told(conn, count):
    add(conn, DAY + timedelta(hours=9), 40, approved=None)
    add(conn, DAY + timedelta(hours=15), 10, approved=None)

    report = count()

    (odd,) = report.odd_nulls
    assert (odd.column, odd.share) == ("approved", 1.0)
    assert odd.usual == pytest.approx(0.2, abs=0.01)


def history_of(conn, day=DAY):
    found = history(conn, AGENT_QUERIES, since=day, until=day + timedelta(days=1))
    conn.rollback()
    return found


def test_every_row_is_counted_once_in_the_hour_of_its_event(conn, count):
    edges = (timedelta(0), timedelta(hours=1) - timedelta(microseconds=1), timedelta(hours=23))
    for edge in (timedelta(microseconds=-1), *edges, timedelta(days=1)):
        make_query(conn, created_at=DAY + edge)

    count()

    found = history_of(conn)
    assert len(found) == 24
    assert {one.hour_at.hour: one.seen for one in found if one.seen} == {0: 2, 23: 1}
    assert {one.expected for one in found} == {None}


def test_nulls_are_counted_per_column_that_may_be_null(conn, count):
    add(conn, DAY, 3, latency_ms=None, approved=True)
    add(conn, DAY + timedelta(hours=2), 1, latency_ms=4, approved=None)

    count()

    shares = null_shares(history_of(conn))
    assert shares == {"approved": 0.25, "latency_ms": 0.75}


def test_counting_a_day_again_replaces_it(conn, count):
    add(conn, DAY, 3)
    count()
    add(conn, DAY + timedelta(minutes=5), 2)
    conn.execute(
        text(
            "update ocd.run set state = 'done', lease_until = null, finished_at = now(), lease_renewed_at = null"
        )
    )

    count()

    assert [one.seen for one in history_of(conn) if one.seen] == [5]
    assert conn.execute(text("select count(*) from ocd.completeness")).scalar() == 24


def test_a_day_that_a_purge_was_at_is_not_counted_and_keeps_its_count(conn, count):
    add(conn, DAY, 3)
    count()
    conn.execute(text("delete from agent_queries"))
    conn.execute(
        text(
            "update ocd.run set state = 'done', lease_until = null, finished_at = now(), lease_renewed_at = null"
        )
    )
    kept = min(rule.keep for rule in AGENT_QUERIES.retention.rules)

    report = count(now=DAY + kept + timedelta(seconds=1))

    assert (report.tables, report.past_retention) == (0, 1)
    assert "1 not counted: past retention" in report.summary
    assert [one.seen for one in history_of(conn) if one.seen] == [3]


def test_who_lost_the_lease_keeps_nothing(conn, start_run):
    run = start_run("quality.completeness")

    with pytest.raises(LeaseLost):
        measure(
            conn, (AGENT_QUERIES,), run=replace(run, fence=run.fence - 1), zone=UTC, now=run.now
        )

    assert conn.execute(text("select count(*) from ocd.completeness")).scalar() == 0


def test_every_table_can_be_counted(conn, start_run):
    run = start_run()

    report = measure(conn, DATASETS, run=run, zone=UTC, now=run.window.end)

    assert report.tables == len(DATASETS)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-02", 24)],
    ids=["clocks go forward", "clocks go back", "any other"],
)
def test_a_day_of_the_shop_has_the_hours_that_pass(day, hours):
    window = day_window(datetime.fromisoformat(day).date(), CHICAGO)

    found = list(hours_between(window.start, window.end))

    assert len(found) == hours
    assert found[0] == window.start
    assert {one.astimezone(CHICAGO).date().isoformat() for one in found} == {day}


def test_an_hour_is_compared_by_the_clock_of_the_shop():
    """At nine in Chicago, before and after the clocks change."""
    nine = [datetime(2026, 10, 5, 9, tzinfo=CHICAGO) + timedelta(weeks=n) for n in range(5)]
    earlier = [Seen(one.astimezone(UTC), 50) for one in nine]
    after = datetime(2026, 11, 9, 9, tzinfo=CHICAGO).astimezone(UTC)

    found = expectations(earlier, [after, after - timedelta(hours=1)], zone=CHICAGO)

    assert place_of(after, CHICAGO) == (0, 9)
    assert found[after].value == 50
    assert found[after - timedelta(hours=1)] is None


def test_hours_are_gathered_by_the_shop_s_day(conn, count):
    add(conn, DAY + timedelta(hours=3), 1)
    count()

    days = by_day(history_of(conn), CHICAGO)

    assert [len(hours) for hours in days.values()] == [6, 18]
