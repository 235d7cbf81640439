"""A period past retention: its rows may be gone, the numbers computed in time are not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.datasets.agents import WINDOW
from ocd.warehouse.rollup import rollup
from tests.factories.agents import make_query
from tests.factories.clock import NOW

OLD = "2026-10-20"
OLD_AT = NOW - timedelta(days=34, hours=20)
PURGE = text("delete from agent_queries")


@pytest.fixture
def queries_of(conn):
    """(value, inputs) of agent.queries per scope."""

    def read():
        rows = conn.execute(
            text("select scope, value, inputs from metric_facts where metric = 'agent.queries'")
        ).all()
        conn.rollback()
        return {row.scope: (row.value, row.inputs) for row in rows}

    return read


def test_a_value_computed_in_time_survives_a_late_backfill(conn, start_run, queries_of):
    run = start_run("warehouse.rollup", OLD)
    make_query(conn, created_at=OLD_AT)
    conn.commit()
    rollup(conn, run=run, now=run.window.end)
    conn.execute(PURGE)
    conn.commit()

    report = rollup(conn, run=run, now=NOW)

    assert (report.is_late, report.rows) == (True, 0)
    assert queries_of() == {"": (1, {"queries": 1}), "support": (1, {"queries": 1})}


def test_a_first_value_computed_late_says_so(conn, start_run, queries_of):
    run = start_run("warehouse.rollup", OLD)
    make_query(conn, created_at=OLD_AT)
    conn.commit()

    report = rollup(conn, run=run, now=NOW)

    assert report.is_late
    assert queries_of()[""] == (1, {"queries": 1, "is_late": True})


def test_a_late_value_gives_way_to_a_later_one(conn, start_run, queries_of):
    run = start_run("warehouse.rollup", OLD)
    rollup(conn, run=run, now=NOW)
    make_query(conn, created_at=OLD_AT)
    conn.commit()

    rollup(conn, run=run, now=NOW)

    assert queries_of()[""] == (1, {"queries": 1, "is_late": True})


@pytest.mark.parametrize(("past", "is_late"), [(0, False), (1, True)], ids=["edge", "beyond"])
def test_a_period_is_late_once_its_first_instant_may_be_purged(conn, start_run, past, is_late):
    run = start_run("warehouse.rollup", OLD)

    report = rollup(conn, run=run, now=run.window.start + WINDOW + timedelta(microseconds=past))

    assert report.is_late is is_late


def test_facts_of_an_agent_that_no_row_names_any_more_go(conn, start_run, queries_of):
    run = start_run("warehouse.rollup")
    other_day = start_run("warehouse.rollup", "2026-11-22")
    for created_at in (NOW - timedelta(hours=10), NOW - timedelta(days=1, hours=10)):
        make_query(conn, agent="qa", created_at=created_at)
    conn.commit()
    rollup(conn, run=run, now=NOW)
    conn.execute(text("update agent_queries set agent = 'quality'"))
    conn.commit()

    rollup(conn, run=run, now=NOW)
    rollup(conn, run=other_day, now=NOW)

    assert set(queries_of()) == {"", "quality"}
