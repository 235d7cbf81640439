"""Rows without a counterpart and figures that disagree are counted exactly, and kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import LeaseLost
from ocd.quality.consistency import SAMPLE_KEYS, check, history
from ocd.quality.references import RECONCILIATIONS, REFERENCES, YOUNG
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW

NAMED = {one.name: one for one in (*REFERENCES, *RECONCILIATIONS)}


@pytest.fixture
def inspect(conn, start_run):
    """Make every check; returns what each found by name."""

    def deed():
        conn.commit()
        report = check(conn, REFERENCES, RECONCILIATIONS, run=start_run(), now=NOW)
        return {one.name: one for one in report.checks}, report

    return deed


def message(conn, conversation, account=1):
    return conn.execute(
        text("""
            insert into landing.chatwoot_messages (account_id, message_id, conversation_id)
            values (:account, (select count(*) from landing.chatwoot_messages), :conversation) returning id
        """),
        {"conversation": conversation, "account": account},
    ).scalar_one()


def conversation(conn, number, account=1):
    conn.execute(
        text(
            "insert into landing.chatwoot_conversations (account_id, conversation_id) values (:a, :n)"
        ),
        {"n": number, "a": account},
    )


def order(conn, name, lines, total=None):
    conn.execute(
        text("""
            insert into landing.shopify_orders (shop_domain, order_id, total_amount, created_at, is_test)
            values ('s', :name, :total, :at, false)
        """),
        {"name": name, "total": total, "at": NOW - timedelta(hours=20)},
    )
    for number in range(lines):
        line(conn, name, number + 1)


def line(conn, name, number=1):
    conn.execute(
        text("""
            insert into landing.shopify_order_lines (shop_domain, order_id, line_number) values ('s', :name, :n)
        """),
        {"name": name, "n": number},
    )


def test_empty_tables_agree(inspect):
    found, report = inspect()

    assert set(found) == set(NAMED)
    assert report.broken == 0
    assert report.summary.endswith("all agree")


def test_messages_without_their_conversation_are_counted_with_keys(conn, inspect):
    conversation(conn, 1)
    conversation(conn, 2, account=2)
    for _ in range(3):
        message(conn, 1)
    orphans = [message(conn, 2), message(conn, 3)]

    found, report = inspect()

    one = found["messages.conversation"]
    assert (one.checked, one.broken, one.sample_keys) == (5, 2, tuple(orphans))
    assert report.summary.endswith("1 found something (messages.conversation 2)")


def test_an_order_and_its_lines_are_asked_both_ways(conn, inspect):
    order(conn, "with two", 2)
    order(conn, "with none", 0)
    line(conn, "of nothing")

    found, _ = inspect()

    assert (found["lines.order"].checked, found["lines.order"].broken) == (3, 1)
    assert (found["orders.line"].checked, found["orders.line"].broken) == (2, 1)


@pytest.mark.parametrize(
    ("make", "name"), [(make_feedback, "feedback.query"), (make_approval, "approvals.query")]
)
def test_only_young_rows_have_to_have_a_query(conn, inspect, make, name):
    end = NOW.replace(hour=0)  # of the window
    make_query(conn, conversation_id="asked")
    make(conn, conversation_id="asked")
    young = make(conn, conversation_id="never", created_at=end - YOUNG)
    make(conn, conversation_id="never", created_at=end - YOUNG - timedelta(microseconds=1))

    found, _ = inspect()

    assert (found[name].checked, found[name].broken) == (2, 1)
    assert found[name].sample_keys == (young,)


def test_few_keys_are_kept_of_many(conn, inspect):
    for number in range(SAMPLE_KEYS + 5):
        message(conn, number)

    found, _ = inspect()

    assert found["messages.conversation"].broken == SAMPLE_KEYS + 5
    assert len(found["messages.conversation"].sample_keys) == SAMPLE_KEYS


def fact(conn, metric, value, inputs="{}"):
    conn.execute(
        text("""
            insert into metric_facts (metric, period_start, period_end, value, unit, inputs, run_id, computed_at)
            values (:metric, :start, :end, :value, 'count', cast(:inputs as jsonb), 1, :end)
        """),
        {
            "metric": metric,
            "value": value,
            "inputs": inputs,
            "start": NOW.replace(hour=0) - timedelta(days=1),
            "end": NOW.replace(hour=0),
        },
    )


def test_key_figures_are_held_against_the_rows_they_were_made_from(conn, inspect):
    for _ in range(3):
        make_query(conn, created_at=NOW - timedelta(hours=12))
    make_query(conn, created_at=NOW - timedelta(minutes=1))
    make_feedback(conn, created_at=NOW - timedelta(hours=12))
    fact(conn, "agent_queries", 3)
    fact(conn, "feedback_drafts", 2)

    found, _ = inspect()

    one = found["facts.rows"]
    assert (one.checked, one.broken) == (2, 1)
    assert one.figures == {"feedback_drafts": (2.0, 1.0), "agent_queries": (3.0, 3.0)}


@pytest.mark.parametrize(("said", "broken"), [("30.50", 0), ("30.51", 1), ("99", 1)])
def test_sales_are_held_against_the_mirror(conn, inspect, said, broken):
    order(conn, "a", 1, total="10.25")
    order(conn, "b", 1, total="20.25")
    fact(conn, "sales_delta_24h", 0, inputs=f'{{"sales_last_24h": {said}}}')

    found, _ = inspect()

    assert (found["facts.sales"].checked, found["facts.sales"].broken) == (1, broken)


def test_an_approved_submission_that_nobody_filed_is_told(conn, inspect):
    conn.execute(
        text("""
            insert into gold_reply_submissions (conversation_id, original_reply, sanitized_reply, category,
              payload_sha256, status, reviewed_by, reviewed_at)
            values ('c', 'r', 's', 'return_refund', repeat('a', 64), 'approved', 'mara', now())
        """)
    )

    found, _ = inspect()

    assert found["replies.submissions"].figures == {"approved submissions": (1.0, 0.0)}


def test_what_was_found_is_kept_and_a_second_attempt_replaces_it(conn, start_run):
    message(conn, 9)
    conn.commit()
    run = start_run()
    for _ in range(2):
        check(conn, REFERENCES, RECONCILIATIONS, run=run, now=NOW)

    kept = {one["check_name"]: one for one in history(conn)}
    past = history(conn, "messages.conversation")

    assert set(kept) == set(NAMED)
    assert [(one["broken"], one["run_id"]) for one in past] == [(1, run.id)]


def test_who_lost_the_lease_keeps_nothing(conn, start_run):
    run = start_run()

    with pytest.raises(LeaseLost):
        check(conn, REFERENCES, (), run=replace(run, fence=run.fence - 1), now=NOW)

    assert history(conn) == []


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.name)
def test_a_reference_names_columns_that_exist_and_no_constraint_holds(conn, reference):
    conn.execute(
        text(f"select {', '.join(reference.columns)} from {reference.child.table} limit 0")
    )
    conn.execute(text(f"select {', '.join(reference.to)} from {reference.parent} limit 0"))
    held = conn.execute(
        text("""
            select count(*) from pg_constraint
            where contype = 'f' and conrelid = to_regclass(:child) and confrelid = to_regclass(:parent)
        """),
        {"child": reference.child.table, "parent": reference.parent},
    ).scalar()

    assert held == 0
