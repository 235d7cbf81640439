"""Planted faults are counted by the seed and found by the check, no more and no fewer."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ocd.local.seed import seed
from tests.factories.clock import NOW


def sow(conn, *, faults, rows=1000):
    report = seed(conn, rows=rows, faults=faults, now=NOW, progress=None)
    conn.commit()
    return report


@pytest.fixture
def inspect(check_quality):
    def deed():
        found = check_quality().findings
        return {one.rule: one.failed for one in found if one.severity != "info"}

    return deed


def test_each_planted_fault_is_found_and_nothing_else(conn, inspect):
    report = sow(conn, faults=True)

    found = inspect()

    assert found == report.planted
    assert sum(report.planted.values()) == 2 + 6 + 12


def test_clean_sample_data_has_no_fault(conn, inspect):
    report = sow(conn, faults=False)

    found = inspect()

    assert (found, report.planted) == ({}, {})


def test_a_handful_of_rows_is_fresh_as_well(conn, inspect):
    sow(conn, faults=False, rows=10)

    assert inspect() == {}


def test_rows_are_inserted_in_order_of_time(conn):
    sow(conn, faults=False)

    for table in ("agent_approvals", "agent_feedback", "agent_queries"):
        instants = conn.execute(text(f"select created_at from {table} order by id")).scalars()
        found = list(instants)
        assert found == sorted(found)
        assert found[-1] < NOW


def test_the_mix_is_a_desk_s(conn):
    """Some wait for a decision, some answers are slow, some drafts are unsafe."""
    sow(conn, faults=False, rows=3000)

    pending, slow, unsafe = conn.execute(
        text("""
            select (select avg((status = 'pending')::int) from agent_approvals),
                   (select avg((latency_ms > 200)::int) from agent_queries),
                   (select avg((safe_to_send is false)::int) from agent_feedback)
        """)
    ).one()

    assert 0.15 < pending < 0.35
    assert 0.01 < slow < 0.10
    assert 0.05 < unsafe < 0.15


def test_the_caller_commits(conn):
    seed(conn, rows=10, faults=False, now=NOW, progress=None)

    conn.rollback()

    assert conn.execute(text("select count(*) from agent_queries")).scalar() == 0
