"""Two backends over the same days: equal, or the difference in numbers and an incident."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError
from ocd.ledger.evidence import to_evidence
from ocd.sources.ga4.backends import opened
from ocd.sources.ga4.compare import Pair, compare
from tests.sources.ga4 import DAY, PROPERTY, channels, pages, record, settings_for


@pytest.fixture
def go(ga4, conn, next_run, tmp_path):
    """Compare the fake by REST with another backend; a recording that is there already is taken."""

    def make(other="mcp", days=1):
        with (
            opened(settings_for(ga4, "rest", tmp_path)) as left,
            opened(settings_for(ga4, "rest", tmp_path), other) as right,
        ):
            pair = Pair("rest", left, other, right, PROPERTY)
            return compare(pair, conn, last=DAY, days=days, run=next_run())

    return make


def incidents(conn):
    found = conn.execute(text("select cause, closed_at is null as is_open from ocd.incident")).all()
    conn.rollback()
    return [tuple(row) for row in found]


@pytest.mark.parametrize("other", ["mcp", "recorded"])
def test_two_backends_of_the_same_data_are_equal(conn, ga4, go, tmp_path, other):
    ga4.set(rows={"date": pages(5), "sessionDefaultChannelGroup": channels(3)})
    if other == "recorded":
        record(ga4, tmp_path)

    report = go(other=other)

    assert (report.rows, report.differences) == (8, ())
    assert report.summary == f"rest and {other} over 1 days and 2 reports: 8 rows, all equal"
    assert incidents(conn) == []


def test_every_day_of_the_span_is_read_from_both(ga4, go):
    ga4.set(made_up=2)

    report = go(days=3)

    assert report.rows == 2 * 2 * 3
    days = [one["body"]["dateRanges"][0]["startDate"] for one in ga4.journal]
    assert {day: days.count(day) for day in days} == {
        "2026-11-21": 4,
        "2026-11-22": 4,
        "2026-11-23": 4,
    }


def test_a_difference_is_counted_and_opens_an_incident_that_closes_again(conn, ga4, go, tmp_path):
    ga4.set(rows={"date": pages(5), "sessionDefaultChannelGroup": channels(3)})
    record(ga4, tmp_path)
    changed = [*pages(5)[1:], [["20261123", "/secret"], ["1"]]]
    changed[0][1] = ["99"]
    ga4.set(rows={"date": changed, "sessionDefaultChannelGroup": channels(3)})

    report = go(other="recorded")

    (wrong,) = report.differences
    assert (wrong.report, wrong.only_one, wrong.only_other, wrong.other_numbers) == ("landing_pages", 1, 1, 1)  # fmt: skip
    assert "3 differ" in report.summary
    assert "/secret" not in json.dumps(to_evidence(report))
    cause = f"ga4 backends:{PROPERTY}:rest:recorded"
    assert incidents(conn) == [(cause, True)]
    record(ga4, tmp_path)
    go(other="recorded")
    assert incidents(conn) == [(cause, False)]


def test_one_backend_is_not_compared_with_itself(go):
    with pytest.raises(ConfigError, match="--backend"):
        go(other="rest")


@pytest.mark.parametrize("days", [0, 29])
def test_the_span_has_limits(go, days):
    with pytest.raises(ConfigError, match="--days: expected 1 to 28"):
        go(days=days)
