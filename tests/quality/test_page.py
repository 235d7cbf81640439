"""The page of a check asks nothing of the network, and shows numbers and keys only."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from ocd.quality.files import load
from ocd.quality.page import Cell, Trend, page, tables_of
from ocd.quality.rule import Kind, Severity
from tests.factories.clock import NOW
from tests.quality.conftest import rule_of

RULE = rule_of(Kind.NOT_NULL, "name", "name", severity=Severity.BLOCK, remedy="Fill it <in>.")


def answer(rule=RULE, days_ago=0, failed=0, **more):
    return {
        "run_id": 7,
        "checked_at": NOW - timedelta(days=days_ago),
        "dataset": rule.source.name,
        "rule": rule.id,
        "rule_version": rule.version,
        "status": "failed" if failed else "passed",
        "is_only_new": False,
        "asked_rows": 100,
        "failed_rows": failed,
        "share": failed / 100,
        "value": None,
        "usual_low": None,
        "usual_high": None,
        "is_unusual": False,
        "sample_keys": list(range(1, failed + 1)),
        "took_ms": 1.0,
        "detail": None,
    } | more


def drawn(rules, rows, **how):
    return page(rules, rows, now=NOW, run_id=7, **how).decode()


def test_it_asks_nothing_of_the_network_and_runs_no_script():
    found = drawn(load(), [answer(one) for one in load()])

    assert not re.search(r"https?:|<script|<img|@import|url\(|<link", found)
    assert "default-src 'none'" in found


def test_a_finding_shows_keys_remedy_budget_and_what_it_stops():
    gate = {"dataset": "thing", "summary": "thing.name: 3 of 100 rows fail", "closed_at": NOW}

    found = drawn([RULE], [answer(failed=3)], gates=[gate], stops=["lifecycle.purge"])

    assert "Closed gate: thing" in found
    assert "3 of 100 rows" in found
    assert "1, 2, 3" in found
    assert "Fill it &lt;in&gt;." in found
    assert "lifecycle.purge of thing" in found
    assert "gate closed" in found.partition("Findings")[0]
    assert "600 % of it is used" in found


def test_a_rule_without_a_remedy_has_that_of_its_kind():
    silent = rule_of(Kind.SET, "code", "code", severity=Severity.WARN)

    found = drawn([silent], [answer(silent, failed=3)])

    assert "`ocd quality cleanse plan thing`" in found
    assert "gate closed" not in found


def test_a_trend_says_in_words_where_it_was():
    rows = [answer(failed=n, days_ago=days) for days, n in ((0, 2), (3, 9), (9, 0))]

    found = drawn([RULE], rows)

    assert (
        f"0.00 % on {(NOW - timedelta(days=9)).date()}, now 2.00 %; from 0.00 % to 9.00 %" in found
    )


def test_what_is_broken_or_unusual_says_so():
    broken = answer(status="broken", detail="database: UndefinedColumn")
    odd = answer(is_unusual=True, usual_low=0.1, usual_high=0.2)

    assert "it could not be asked: database: UndefinedColumn" in drawn([RULE], [broken])
    assert "unusual; usual is 0.1 to 0.2" in drawn([RULE], [odd])


def test_nothing_found_says_so():
    assert "Nothing was found." in drawn([RULE], [answer()])


def test_rules_that_are_no_longer_asked_and_waiting_answers_are_left_out():
    gone = answer() | {"rule": "thing.gone"}
    waiting = answer(status="waiting")

    (table,) = tables_of([RULE], [waiting, gone, answer(days_ago=1, failed=2)], now=NOW)

    assert [one.last["status"] for one in table.rules] == ["failed"]


def test_the_worst_comes_first():
    other = rule_of(Kind.NOT_NULL, "code", "code", severity=Severity.ERROR)
    info = rule_of(Kind.NOT_NULL, "part", "part", severity=Severity.INFO)
    rows = [answer(info, failed=9), answer(other, failed=2), answer(RULE, failed=1)]

    (table,) = tables_of([info, other, RULE], rows, now=NOW)

    assert [one.rule.id for one in table.rules] == ["thing.name", "thing.code", "thing.part"]


@pytest.mark.parametrize(
    ("score", "grade", "text"),
    [
        (None, "none", "-"),
        (100, "good", "100"),
        (99.96, "good", "99.9"),
        (99.4, "fair", "99.4"),
        (79.9, "warn", "79.9"),
        (59.9, "crit", "59.9"),
    ],
)
def test_a_score_is_graded_and_never_rounded_up(score, grade, text):
    assert (Cell(score).grade, Cell(score).text) == (grade, text)


def test_a_trend_is_drawn_and_compared_with_the_day_so_long_ago():
    days = tuple(((NOW - timedelta(days=10 - n)).date(), float(n)) for n in range(11))
    trend = Trend(days, 0, 10)

    assert (trend.change(7), trend.change(30)) == (7, 10)
    assert trend.line.split(" ")[0] == "0.0,24.0"
    assert trend.line.split(" ")[-1] == "120.0,0.0"
    assert Trend(days[:1], 0, 10).change(7) is None


def test_a_small_loss_is_seen_in_the_trend_of_a_table():
    rows = [answer(failed=2), answer(days_ago=3)]

    (table,) = tables_of([RULE], rows, now=NOW)

    (_, before), (_, after) = (point.split(",") for point in table.trend.line.split(" "))
    assert float(after) - float(before) > 5


def test_every_check_leaves_a_page(conn, store, check_quality):
    from sqlalchemy import text

    check_quality([one for one in load() if one.source.name == "facts"])

    (name,) = conn.execute(
        text("select name from ocd.artifact where kind = 'quality-page'")
    ).scalars()
    assert b"facts" in b"".join(store.open(name))
