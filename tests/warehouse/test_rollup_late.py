"""A period past retention: its rows may be gone, the numbers computed in time are not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.datasets.agents import WINDOW
from ocd.warehouse.rollup import rollup
from tasks.warehouse import measured
from tests.factories.agents import make_query
from tests.factories.clock import NOW
from tests.factories.desk import make_order, make_stock

OLD = "2026-10-20"
OLD_AT = NOW - timedelta(days=34, hours=20)
PURGE = text("delete from agent_queries")


@pytest.fixture
def queries_of(conn):
    """(value, inputs) of agent_queries per scope."""

    def read():
        rows = conn.execute(
            text("select scope, value, inputs from metric_facts where metric = 'agent_queries'")
        ).all()
        conn.rollback()
        return {row.scope: (row.value, row.inputs) for row in rows}

    return read


def test_a_value_computed_in_time_survives_a_late_backfill(conn, start_run, queries_of):
    run = start_run("warehouse.rollup", OLD)
    make_query(conn, created_at=OLD_AT)
    conn.commit()
    rollup(conn, run=run, now=run.window.end, measure=measured)
    conn.execute(PURGE)
    conn.commit()

    report = rollup(conn, run=run, now=NOW, measure=measured)

    assert (report.is_late, report.rows) == (True, 0)
    assert queries_of() == {"": (1, {}), "support": (1, {})}


def test_a_first_value_computed_late_says_so(conn, start_run, queries_of):
    run = start_run("warehouse.rollup", OLD)
    make_query(conn, created_at=OLD_AT)
    conn.commit()

    report = rollup(conn, run=run, now=NOW, measure=measured)

    assert report.is_late
    assert queries_of()[""] == (1, {"is_late": True})


def test_a_late_value_gives_way_to_a_later_one(conn, start_run, queries_of):
    run = start_run("warehouse.rollup", OLD)
    rollup(conn, run=run, now=NOW, measure=measured)
    make_query(conn, created_at=OLD_AT)
    conn.commit()

    rollup(conn, run=run, now=NOW, measure=measured)

    assert queries_of()[""] == (1, {"is_late": True})


@pytest.mark.parametrize(("past", "is_late"), [(0, False), (1, True)], ids=["edge", "beyond"])
def test_a_period_is_late_once_its_first_instant_may_be_purged(conn, start_run, past, is_late):
    run = start_run("warehouse.rollup", OLD)

    report = rollup(
        conn,
        run=run,
        now=run.window.start + WINDOW + timedelta(microseconds=past),
        measure=measured,
    )

    assert report.is_late is is_late


def test_facts_of_an_agent_that_no_row_names_any_more_go(conn, start_run, queries_of):
    run = start_run("warehouse.rollup")
    other_day = start_run("warehouse.rollup", "2026-11-22")
    for created_at in (NOW - timedelta(hours=10), NOW - timedelta(days=1, hours=10)):
        make_query(conn, agent="qa", created_at=created_at)
    conn.commit()
    rollup(conn, run=run, now=NOW, measure=measured)
    conn.execute(text("update agent_queries set agent = 'quality'"))
    conn.commit()

    rollup(conn, run=run, now=NOW, measure=measured)
    rollup(conn, run=other_day, now=NOW, measure=measured)

    assert set(queries_of()) == {"", "quality"}


def stock_facts(conn):
    rows = conn.execute(
        text("select scope, value, inputs from metric_facts where metric = 'inventory_cover'")
    ).all()
    conn.rollback()
    return {row.scope: (row.value, "is_late" in row.inputs) for row in rows}


@pytest.mark.parametrize(("hours", "cover"), [(24, 2), (25, 1)], ids=["edge", "beyond"])
def test_how_things_stood_cannot_be_had_a_day_later(conn, start_run, hours, cover):
    run = start_run("warehouse.rollup")
    make_stock(conn, "AN6", 1)
    make_order(conn, created_at=run.window.start, sku="AN6", quantity=14)
    conn.commit()
    rollup(conn, run=run, now=run.window.end, measure=measured)
    conn.execute(text("update landing.shopify_inventory set quantity = 2"))
    conn.commit()

    rollup(conn, run=run, now=run.window.end + timedelta(hours=hours), measure=measured)

    assert stock_facts(conn) == {"AN6": (cover, False)}


def test_a_first_value_of_how_things_stood_says_that_it_is_late(conn, start_run):
    run = start_run("warehouse.rollup")
    make_stock(conn, "AN6", 1)
    make_order(conn, created_at=run.window.start, sku="AN6", quantity=14)
    conn.commit()

    report = rollup(conn, run=run, now=run.window.end + timedelta(hours=25), measure=measured)

    assert stock_facts(conn) == {"AN6": (1, True)}
    assert not report.is_late


def test_a_scope_that_is_fine_again_has_no_fact_any_more(conn, start_run):
    run = start_run("warehouse.rollup")
    make_stock(conn, "AN6", 1)
    make_order(conn, created_at=run.window.start, sku="AN6", quantity=14)
    conn.commit()
    rollup(conn, run=run, now=run.window.end, measure=measured)
    conn.execute(text("update landing.shopify_inventory set quantity = 200"))
    make_stock(conn, "AN8", 1)
    make_order(conn, created_at=run.window.start, sku="AN8", quantity=14)
    conn.commit()

    rollup(conn, run=run, now=run.window.end, measure=measured)

    assert stock_facts(conn) == {"AN8": (1, False)}
