"""Sample data: the same every time, and gone without a trace."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.local import seed
from ocd.quality.agents import RULES
from ocd.quality.check import check
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW

TABLES = ("agent_approvals", "agent_feedback", "agent_queries")
MAKERS = (make_approval, make_feedback, make_query)


@pytest.fixture
def sow(db):
    def deed(rows=200, *, faults=False, now=NOW):
        with db.engine.begin() as conn:
            return seed.seed(conn, rows=rows, faults=faults, now=now, progress=None)

    return deed


@pytest.fixture
def clean(db):
    def deed():
        with db.engine.begin() as conn:
            return seed.clean(conn)

    return deed


def content(conn):
    """Everything but the ids, which only count."""
    found = [
        conn.execute(text(f"select to_jsonb(t) - 'id' from {table} t order by id")).scalars().all()
        for table in TABLES
    ]
    conn.rollback()
    return found


def test_the_same_day_gives_the_same_rows(conn, sow, clean):
    sow(faults=True)
    first = content(conn)
    clean()

    sow(faults=True, now=NOW + timedelta(hours=9))

    assert content(conn) == first


def test_as_many_rows_are_written_as_asked(conn, sow):
    report = sow(203)

    assert report.rows == 203
    assert [len(rows) for rows in content(conn)] == list(report.rows_by_dataset.values())


def test_progress_ends_with_everything_done(conn):
    shown = []

    seed.seed(
        conn, rows=50, faults=False, now=NOW, progress=lambda done, of: shown.append((done, of))
    )

    assert shown[-1] == (50, 50)


def test_rows_reach_back_past_the_longest_retention_and_not_into_the_future(conn, sow):
    sow()

    oldest, newest = conn.execute(
        text("select min(created_at), max(created_at) from agent_queries")
    ).one()

    assert oldest < NOW - timedelta(days=180)
    assert newest < NOW


def test_clean_deletes_exactly_sample_and_test_rows(conn, sow, clean):
    sow(100)
    stay = {}
    for table, make in zip(TABLES, MAKERS, strict=True):
        make(conn, conversation_id="test-1")
        names = ("c1", "demo", "demolition", "testing", "my-demo-1", "DEMO-1", "")
        stay[table] = {make(conn, conversation_id=name) for name in names}
    conn.commit()

    gone = clean()

    assert gone == 103
    for table, ids in stay.items():
        found = conn.execute(text(f"select id from {table}")).scalars()
        assert set(found) == ids


def test_clean_of_nothing_deletes_nothing(conn, clean):
    make_query(conn)
    conn.commit()

    assert clean() == 0


def test_a_database_is_empty_until_rows_or_runs_are_in_it(conn, start_run):
    before = seed.is_empty(conn)
    conn.rollback()
    start_run()

    assert (before, seed.is_empty(conn)) == (True, False)


@pytest.mark.parametrize("make", MAKERS, ids=TABLES)
def test_a_row_in_any_table_means_not_empty(conn, make):
    make(conn)

    assert not seed.is_empty(conn)


def found(conn, start_run, keeper_for):
    run = start_run("quality.check")
    report = check(conn, RULES, run=run, keeper=keeper_for(run), now=NOW)
    return {one.rule for one in report.findings}


#: What clean sample rows may show: things that are wanted or simply old.
HARMLESS = {"agent_queries.approved.unedited", "agent_approvals.pending.age"}


def test_sample_rows_are_good_rows(conn, sow, start_run, keeper_for):
    sow(2000)

    assert found(conn, start_run, keeper_for) <= HARMLESS


def test_planted_faults_are_found(conn, sow, start_run, keeper_for):
    sow(2000, faults=True)

    assert found(conn, start_run, keeper_for) >= {
        "agent_approvals.approved_by.named",
        "agent_feedback.rubric.clarity",
        "agent_feedback.rubric.accuracy",
        "agent_queries.latency_ms.range",
        "agent_queries.updated_at.order",
    }
