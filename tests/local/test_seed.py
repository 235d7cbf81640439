"""Sample data: the same every time, and gone without a trace."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.database.findings import Limits, Scene, Stack
from ocd.database.overdue import overdue
from ocd.datasets.registry import DATASETS
from ocd.local import seed
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW

TABLES = ("agent_approvals", "agent_feedback", "agent_queries")
EVERY = [one.table for one in DATASETS]
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
    """Everything but the ids, which only count, and what counts them."""
    found = [
        conn.execute(
            text(f"select to_jsonb(t) - '{{id,submission_id}}'::text[] from {table} t order by id")
        )
        .scalars()
        .all()
        for table in EVERY
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

    written = {
        table.split(".")[1]: len(rows) for table, rows in zip(EVERY, content(conn), strict=True)
    }
    assert {name: rows for name, rows in written.items() if rows} == report.rows_by_dataset
    assert sum(report.rows_by_dataset[table] for table in TABLES) == 203


def test_progress_ends_with_everything_done(conn):
    shown = []

    seed.seed(
        conn, rows=50, faults=False, now=NOW, progress=lambda done, of: shown.append((done, of))
    )

    assert shown[-1][0] == shown[-1][1] > 50


def test_rows_reach_back_past_the_longest_retention_and_not_into_the_future(conn, sow):
    sow()

    oldest, newest = conn.execute(
        text("select min(created_at), max(created_at) from agent_queries")
    ).one()

    assert oldest < NOW - timedelta(days=180)
    assert newest < NOW


def test_clean_deletes_exactly_sample_and_test_rows(conn, sow, clean):
    sown = sow(100).rows
    stay = {}
    for table, make in zip(TABLES, MAKERS, strict=True):
        make(conn, conversation_id="test-1")
        names = ("c1", "demo", "demolition", "testing", "my-demo-1", "DEMO-1", "")
        stay[table] = {make(conn, conversation_id=name) for name in names}
    conn.commit()

    gone = clean()

    assert gone == sown + 3
    assert [
        rows for table, rows in zip(EVERY, content(conn), strict=True) if table[7:] not in TABLES
    ] == [[] for table in EVERY if table[7:] not in TABLES]
    for table, ids in stay.items():
        found = conn.execute(text(f"select id from {table}")).scalars()
        assert set(found) == ids


def test_few_rows_of_any_table_are_past_their_time(conn, sow):
    """A shop whose purge runs: what is left to delete is the exception."""
    report = sow(3000)
    scene = Scene(conn, NOW, Limits(overdue_after=timedelta(0)), Stack({}, frozenset()))

    expired = {
        table.split(".")[1]: int(said.split(" ")[0].replace(",", ""))
        for table, said in overdue(scene)
    }

    assert expired
    assert {
        name: share
        for name, rows in expired.items()
        if (share := rows / report.rows_by_dataset[name]) > 0.2
    } == {}


def test_rows_fit_together(conn, sow):
    """Who is asked, approved, judged, answered and curated stands in the desk's own conversations."""
    sow(3000)

    lost = conn.execute(
        text("""
            with told as (
              select conversation_id from agent_queries union select conversation_id from agent_approvals
              union select conversation_id from agent_feedback union select conversation_id from gold_reply_submissions
              union select conversation_id from support_curated_replies
            )
            select count(*) from told where not exists (
              select from landing.chatwoot_conversations c where 'demo-' || c.conversation_id = told.conversation_id)
        """)
    ).scalar()
    orphans = conn.execute(
        text("""
            select (select count(*) from landing.chatwoot_messages m where not exists (
                      select from landing.chatwoot_conversations c where c.conversation_id = m.conversation_id))
                 + (select count(*) from landing.shopify_order_lines l where not exists (
                      select from landing.shopify_orders o where o.order_id = l.order_id))
                 + (select count(*) from support_curated_replies r where not exists (
                      select from gold_reply_submissions s where s.id = r.submission_id and s.status = 'approved'))
        """)
    ).scalar()

    assert (lost, orphans) == (0, 0)


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


@pytest.fixture
def found(check_quality):
    return lambda: {one.rule for one in check_quality().findings}


#: What clean sample rows may show: things that are wanted or simply old.
HARMLESS = {
    "agent_approvals.pending.age",
    "agent_feedback.conversation_id.queried",
    "agent_queries.approved.unedited",
    "agent_queries.conversation_id.decided",
}


def test_sample_rows_are_good_rows(sow, found):
    sow(2000)

    assert found() <= HARMLESS


def test_planted_faults_are_found(sow, found):
    sow(2000, faults=True)

    assert found() >= {
        "agent_approvals.approved_by.named",
        "agent_feedback.rubric.clarity",
        "agent_feedback.rubric.accuracy",
        "agent_queries.latency_ms.range",
        "agent_queries.updated_at.order",
    }
