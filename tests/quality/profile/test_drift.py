"""Kept profiles are compared: what moved is found, and another sample of the same is no drift."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import text

from ocd.core.errors import LeaseLost
from ocd.datasets.agents import AGENT_QUERIES
from ocd.quality.profile.drift import LEAST_ROWS, compare
from ocd.quality.profile.keep import newest, profile
from ocd.quality.profile.measure import measure
from tests.factories.agents import make_query
from tests.factories.clock import NOW

ROWS = 2 * LEAST_ROWS


def fill(conn, seed, *, low=20, high=400, unreviewed=0.3, agents=("support", "data"), rows=ROWS):
    rng = random.Random(seed)
    conn.execute(text("delete from agent_queries"))
    for _ in range(rows):
        make_query(
            conn,
            latency_ms=rng.randint(low, high),
            approved=None if rng.random() < unreviewed else True,
            agent=rng.choice(agents),
        )
    conn.commit()


@pytest.fixture
def keep(conn, start_run, analyse):
    """Profile the queries in a run of the given day."""

    runs = {}

    def deed(day):
        analyse(AGENT_QUERIES)
        if day not in runs:
            runs[day] = start_run("quality.profile", day, subject={"dataset": "agent_queries"})
        run = runs[day]
        return profile(conn, (AGENT_QUERIES,), run=run, now=NOW)

    return deed


CHANGES = {
    "nothing": ({}, set()),
    "slower answers": ({"low": 200, "high": 900}, {("latency_ms", "values")}),
    "nobody reviews": ({"unreviewed": 0.9}, {("approved", "nulls")}),
    "a new agent": ({"agents": ("support", "data", "sales", "sales")}, {("agent", "values")}),
    "ever more rows": ({"rows": 2 * ROWS}, {(None, "rows")}),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_what_moved_between_two_profiles_is_told(conn, keep, change, expected):
    fill(conn, 1)
    keep("2026-11-15")
    fill(conn, 2, **change)

    report = keep("2026-11-22")

    assert {(one.column, one.what) for one in report.drifts} == expected
    assert report.changed == len(expected)


def test_the_first_profile_has_nothing_to_be_compared_with(conn, keep):
    fill(conn, 1)

    report = keep("2026-11-15")

    assert report.drifts == ()
    assert (
        report.summary
        == f"{len(AGENT_QUERIES.columns)} columns of 1 tables over {ROWS} rows: no drift"
    )


def test_a_second_attempt_keeps_one_profile_and_compares_with_the_run_before(conn, keep):
    fill(conn, 1)
    keep("2026-11-15")
    fill(conn, 2, low=500, high=900)
    keep("2026-11-22")

    again = keep("2026-11-22")

    kept = conn.execute(text("select count(*) from ocd.column_profile")).scalar()
    assert kept == 2 * len(AGENT_QUERIES.columns)
    assert [one.column for one in again.drifts] == ["latency_ms"]


def test_a_kept_profile_reads_as_it_was_measured(conn, keep, analyse):
    fill(conn, 1)
    keep("2026-11-15")

    kept = newest(conn, AGENT_QUERIES)
    conn.rollback()

    measured = measure(conn, AGENT_QUERIES, now=NOW)
    assert compare(kept, measured) == ()
    assert [(one.name, one.nulls) for one in kept.columns] == [
        (one.name, one.nulls) for one in measured.columns
    ]
    assert kept.columns[7].distribution == measured.columns[7].distribution is not None


def test_few_rows_let_nothing_be_said(conn, keep):
    fill(conn, 1, rows=LEAST_ROWS - 1)
    keep("2026-11-15")
    fill(conn, 2, low=5_000, high=9_000, rows=LEAST_ROWS - 1)

    assert keep("2026-11-22").drifts == ()


def test_who_lost_the_lease_keeps_nothing(conn, start_run):
    run = start_run("quality.profile", "2026-11-15")

    with pytest.raises(LeaseLost):
        profile(conn, (AGENT_QUERIES,), run=replace(run, fence=run.fence - 1), now=NOW)

    assert conn.execute(text("select count(*) from ocd.column_profile")).scalar() == 0
