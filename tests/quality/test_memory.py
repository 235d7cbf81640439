"""What a check remembers, tells and stops: results, incidents, gates, what is unusual."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import ApprovalNeeded, PolicyRefused
from ocd.ledger import approvals, gates
from ocd.quality import results
from ocd.quality.policy import Mode
from ocd.quality.rule import Dimension, Kind, Severity
from tests.factories.clock import NOW
from tests.quality.conftest import rule_of

FILLED = rule_of(Kind.FILLED, "filled", "name", severity=Severity.ERROR)
BLOCK = rule_of(Kind.NOT_NULL, "blocking", "code", severity=Severity.BLOCK)
COUNT = rule_of(Kind.VOLUME, "volume", params={"min": 0}, dimension=Dimension.VOLUME)
INFO = rule_of(Kind.NOT_NULL, "info", "part", severity=Severity.INFO)

OPEN = text(
    "select cause, severity, times, how_to from ocd.incident where closed_at is null order by cause"
)
KEPT = text(
    "select rule, status, asked_rows, failed_rows, sample_keys, is_only_new from ocd.quality_result order by id"
)


@pytest.fixture
def put(play):
    """Add so many rows; columns as SQL."""

    def deed(count=1, **columns):
        names = ", ".join(columns) or "name"
        values = ", ".join(columns.values()) or "null"
        play(f"insert into play.thing ({names}) select {values} from generate_series(1, {count})")

    return deed


def test_every_answer_is_kept(conn, put, check_quality):
    put(3, name="'x'")
    put(2, name="null")

    check_quality([FILLED, COUNT])

    rows = conn.execute(KEPT).all()
    assert [tuple(row) for row in rows] == [
        ("thing.filled", "failed", 5, 2, [4, 5], False),
        ("thing.volume", "passed", 5, 0, [], False),
    ]


def test_a_finding_opens_one_incident_and_its_end_closes_it(conn, put, play, check_quality):
    put(2, name="null")
    check_quality([FILLED, INFO])
    check_quality([FILLED, INFO])
    twice = conn.execute(OPEN).all()
    play("update play.thing set name = 'x'")

    check_quality([FILLED, INFO])

    assert [tuple(row) for row in twice] == [
        ("quality:thing.filled", "error", 2, "docs/how-to/check-quality.md")
    ]
    assert conn.execute(OPEN).all() == []


def test_a_blocking_rule_closes_the_gate_and_opens_it_again(conn, put, play, check_quality):
    put(1, code="null")
    check_quality([BLOCK])
    check_quality([BLOCK])
    (closed,) = gates.closed(conn, ["thing"])
    play("update play.thing set code = 'x'")

    check_quality([BLOCK])

    assert (closed["cause"], gates.closed(conn)) == ("quality:thing.blocking", [])


def test_a_blocking_rule_that_is_broken_proves_nothing(conn, put, check_quality):
    put(1)
    broken = replace(BLOCK, kind=Kind.CONDITION, params={"expression": "gone > 1"})

    report = check_quality([broken])

    assert report.summary.endswith(f"1 with findings ({broken.id} could not be asked)")
    assert [one["dataset"] for one in gates.closed(conn)] == ["thing"]


def test_a_closed_gate_refuses_until_a_person_says_yes(conn, put, check_quality, start_run):
    put(1, code="null")
    check_quality([BLOCK])
    run = start_run("test.purge")

    gates.require(conn, run, ["other"])
    with pytest.raises(ApprovalNeeded, match="1 closed gates of quality"):
        gates.require(conn, run, ["thing"])
    with conn.begin():
        approvals.approve(conn, run.id, reason="agreed", approved_by="mara", may_be_same=True)
    gates.require(conn, run, ["thing"])

    conn.rollback()
    (given,) = approvals.approvals(conn, with_given=True)
    assert (given["reason"], given["asks"]) == ("agreed", {"closed_gates": 1})


def test_what_was_approved_is_not_approved_for_another_cause(conn, put, check_quality, start_run):
    put(1, code="null")
    check_quality([BLOCK])
    run = start_run("test.purge")
    with pytest.raises(ApprovalNeeded):
        gates.require(conn, run, ["thing"])
    with conn.begin():
        approvals.approve(conn, run.id, reason="agreed", approved_by="mara", may_be_same=True)
    other = replace(BLOCK, id="thing.other")
    check_quality([other])

    with pytest.raises(ApprovalNeeded, match="2 closed gates"):
        gates.require(conn, run, ["thing"])


def test_a_dry_run_is_refused_and_asks_nobody(conn, put, check_quality, start_run):
    put(1, code="null")
    check_quality([BLOCK])
    run = start_run("test.purge", is_dry=True)

    with pytest.raises(PolicyRefused, match="closed gates"):
        gates.require(conn, run, ["thing"])

    assert approvals.approvals(conn) == []


def test_only_new_rows_are_asked_where_that_was_chosen(conn, put, check_quality):
    put(3, name="null")
    check_quality([FILLED, COUNT])
    put(2, name="null")

    report = check_quality([FILLED, COUNT], mode=Mode.NEW, now=NOW + timedelta(days=1))

    assert (report.rows, report.waiting) == (2, 1)
    assert conn.execute(KEPT).all()[-2:] == [
        ("thing.volume", "waiting", 0, 0, [], False),
        ("thing.filled", "failed", 2, 2, [4, 5], True),
    ]


def test_a_look_at_new_rows_closes_no_incident_and_opens_no_gate(conn, put, check_quality):
    put(3, name="null", code="null")
    check_quality([FILLED, BLOCK])
    put(2, name="'x'", code="'x'")

    check_quality([FILLED, BLOCK], mode=Mode.NEW, now=NOW + timedelta(days=1))

    assert [row.cause for row in conn.execute(OPEN)] == [
        "quality:thing.blocking",
        "quality:thing.filled",
    ]
    assert len(gates.closed(conn)) == 1


def test_once_a_week_every_row_is_asked_again(put, play, check_quality):
    put(3, name="'x'")
    check_quality([FILLED])
    play("update play.thing set name = null where id = 1")
    soon, later = NOW + timedelta(days=6), NOW + timedelta(days=7)

    unseen = check_quality([FILLED], mode=Mode.NEW, now=soon)
    seen = check_quality([FILLED], mode=Mode.NEW, now=later)

    assert (unseen.rows, unseen.findings) == (0, ())
    assert (seen.rows, seen.findings[0].failed) == (3, 1)


def test_what_waits_does_not_count_as_asked_of_all_rows(put, check_quality):
    put(3, name="'x'")
    check_quality([FILLED, COUNT])
    for day in range(1, 7):
        check_quality([FILLED, COUNT], mode=Mode.NEW, now=NOW + timedelta(days=day))

    report = check_quality([FILLED, COUNT], mode=Mode.NEW, now=NOW + timedelta(days=7))

    assert (report.rows, report.waiting) == (3, 0)


def test_what_a_rule_that_is_no_more_found_is_over(conn, put, check_quality):
    put(2, name="null", code="null")
    check_quality([FILLED, BLOCK])

    check_quality([FILLED], known={FILLED.id})

    assert [row.cause for row in conn.execute(OPEN)] == ["quality:thing.filled"]
    assert gates.closed(conn) == []


def test_the_cost_decides_where_nobody_does(put, check_quality):
    put(3, name="'x'")
    check_quality([FILLED])
    put(1, name="'x'")
    tomorrow = NOW + timedelta(days=1)

    cheap = check_quality([FILLED], mode=Mode.AUTO, now=tomorrow)
    dear = check_quality([FILLED], mode=Mode.AUTO, now=tomorrow, dear=0.001)

    assert (cheap.rows, dear.rows) == (4, 0)


def grow(put, check_quality, days, per_day, rules):
    for day in range(days):
        put(per_day(day), name="'x'")
        check_quality(rules, now=NOW + timedelta(days=day))


def test_a_table_that_stops_growing_is_unusual(conn, put, check_quality):
    grow(put, check_quality, 10, lambda day: 100 + day % 3, [COUNT])

    usual = check_quality([COUNT], now=NOW + timedelta(days=10, hours=1))
    stopped = usual.unusual
    put(101, name="'x'")
    fine = check_quality([COUNT], now=NOW + timedelta(days=10, hours=2))

    assert (stopped, fine.unusual) == (("thing.volume",), ())
    assert [row.cause for row in conn.execute(OPEN)] == []


def test_more_failures_than_usual_are_unusual_though_they_are_tolerated(put, play, check_quality):
    rule = replace(FILLED, severity=Severity.INFO)
    put(1000, name="'x'")
    play("update play.thing set name = null where id <= 10")
    for day in range(9):
        check_quality([rule], now=NOW + timedelta(days=day))
    play("update play.thing set name = null where id <= 30")

    report = check_quality([rule], now=NOW + timedelta(days=9))

    assert report.unusual == ("thing.filled",)


def test_a_rule_that_says_something_else_has_no_past(put, check_quality):
    put(5, name="'x'")
    for day in range(9):
        check_quality([COUNT], now=NOW + timedelta(days=day))
    changed = replace(COUNT, params={"min": 1})
    put(5000, name="'x'")

    report = check_quality([changed], now=NOW + timedelta(days=9))

    assert report.unusual == ()


def test_history_is_told_newest_first(conn, put, check_quality):
    put(1, name="null")
    for day in range(3):
        check_quality([FILLED], now=NOW + timedelta(days=day))

    found = results.history(conn, now=NOW + timedelta(days=3), rule=FILLED.id, days=2)

    assert [one["checked_at"] for one in found] == [NOW + timedelta(days=2)]


def test_a_scan_that_is_too_dear_is_left_out_and_says_how_to_run_it_anyway(
    put, check_quality, conn
):
    put(3)
    told = text(
        "select summary, closed_at is null from ocd.incident where cause = 'quality-left-out:thing'"
    )

    refused = check_quality([FILLED], mode=Mode.AUTO, max_cost=0.001)
    ((summary, _),) = conn.execute(told).all()

    assert (refused.rows, refused.scans, refused.waiting) == (0, 0, 1)
    assert refused.left_out == ("thing",)
    assert "without thing (too dear)" in refused.summary
    assert "OCD_QUALITY_MAX_COST=0" in summary
    assert "`ocd quality run --dataset thing` asks it anyway" in summary

    asked = check_quality([FILLED], mode=Mode.FULL, max_cost=0.001)

    assert (asked.rows, asked.left_out) == (3, ())
    assert [is_open for _, is_open in conn.execute(told)] == [False]


def test_without_a_limit_or_below_it_nothing_is_left_out(put, check_quality):
    put(3)

    for limit in (None, 0, 10**6):
        assert check_quality([FILLED], mode=Mode.AUTO, max_cost=limit).rows == 3


def test_a_left_out_table_keeps_its_gate_and_what_was_known(put, check_quality, conn):
    put(3)
    blocking = replace(FILLED, severity=Severity.BLOCK)
    check_quality([blocking])

    check_quality([blocking], mode=Mode.AUTO, max_cost=0.001)

    assert [one["dataset"] for one in gates.closed(conn)] == ["thing"]
    assert results.known(conn, now=NOW + timedelta(days=1))["thing"].high_key == 3
