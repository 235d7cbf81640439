"""Wrong states cannot be written; odd payloads of the outside can."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

RUN = "insert into agent_run (run_id, agent_name, started_at, ended_at, resolution)"
UUID = "'00000000-0000-0000-0000-000000000001'"
SHA = "repeat('a', 64)"
GOLD = (
    "insert into gold_reply_submissions (conversation_id, original_reply, category, payload_sha256"
)

IMPOSSIBLE = {
    "an ended run without an outcome": f"{RUN} values ({UUID}, 'data', now(), now(), null)",
    "a running run with an outcome": f"{RUN} values ({UUID}, 'data', now(), null, 'resolved')",
    "a run that ends before it starts": f"{RUN} values ({UUID}, 'data', now(), now() - interval '1 s', 'failed')",
    "a mark without a run": f"insert into agent_qc (run_id, quality_score) values ({UUID}, 3)",
    "attempt zero": "insert into decision_sync_event_logs (decision_id, status, attempt) values (1, 'ok', 0)",
    "a sync in no scope": "insert into decision_sync_event_logs (decision_id, status, scope) values (1, 'ok', 'x')",
    "a decision of nobody": "insert into decision_log (scope, actor, action) values ('ops', ' ', 'refund')",
    "a reference to nothing": "insert into decision_log (scope, actor, action, external_ref) values ('ops', 'a', 'b', '42')",
    "a log level in small letters": "insert into observability_logs (level, message) values ('info', 'm')",
    "a fact that says nothing": "insert into facts (topic, key, value) values ('t', 'k', 'null')",
    "half a period": """insert into dashboard_facts (shop_domain, fact_type, value, period_start)
        values ('s', 'a.b', '1', now())""",
    "a fact type of one word": "insert into dashboard_facts (shop_domain, fact_type, value) values ('s', 'sales', '1')",
    "a decided submission without a decider": f"{GOLD}, status, reviewed_at) values ('c', 'r', 'return_refund', {SHA}, 'rejected', now())",
    "a pending submission with a decider": f"{GOLD}, reviewed_by, reviewed_at) values ('c', 'r', 'return_refund', {SHA}, 'a', now())",
    "an approved submission that nobody cleaned": f"{GOLD}, status, reviewed_by, reviewed_at) values ('c', 'r', 'return_refund', {SHA}, 'approved', 'a', now())",
    "a category of no list": f"{GOLD}) values ('c', 'r', 'other', {SHA})",
    "a curated reply of nobody": "insert into support_curated_replies (message_body, approver) values ('m', '')",
    "a third category without a second": """insert into product_categories (shopify_product_id, category_l1, category_l3)
        values (1, 'Fuel & Ignition', 'x')""",
    "orders without a date": """insert into customer_segments (shopify_customer_id, primary_segment, lifecycle_stage, total_orders)
        values (1, 'diy_builder', 'new', 2)""",
    "a confidence above one": """insert into customer_segments (shopify_customer_id, primary_segment, lifecycle_stage, segment_confidence)
        values (1, 'diy_builder', 'new', 1.2)""",
}


@pytest.mark.parametrize("statement", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_it_cannot_be_written(conn, statement):
    with pytest.raises(IntegrityError) as refused:
        conn.execute(text(statement))

    assert isinstance(
        refused.value.orig, pg.CheckViolation | pg.NotNullViolation | pg.ForeignKeyViolation
    )


TWICE = {
    "a fact of the same period": """insert into dashboard_facts (shop_domain, fact_type, value, period_start, period_end)
        values ('s', 'shopify.sales.summary', '1', '2026-01-01', '2026-01-02')""",
    "the same payload": f"{GOLD}) values ('c' || random(), 'r', 'return_refund', {SHA})",
    "an open proposal of the same conversation": f"{GOLD}) values ('c', 'r', 'return_refund', md5(random()::text) || md5(random()::text))",
    "the same reply of a conversation": """insert into support_curated_replies (message_body, approver, conversation_id)
        values ('m', 'a', 'c')""",
    "the same attempt of a decision": """insert into decision_sync_event_logs (decision_id, status, created_at)
        values (1, 'ok', '2026-01-01')""",
    "the same product": "insert into product_categories (shopify_product_id, category_l1) values (1, 'Fuel & Ignition')",
}


@pytest.mark.parametrize("statement", TWICE.values(), ids=TWICE)
def test_it_cannot_be_written_twice(conn, statement):
    conn.execute(text(statement))

    with pytest.raises(IntegrityError) as refused:
        conn.execute(text(statement))

    assert isinstance(refused.value.orig, pg.UniqueViolation)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("SUCCESS", "success"),
        (" ok ", "success"),
        ("synced", "success"),
        ("TIMEOUT", "failure"),
        ("timed_out", "failure"),
        ("Rejected", "failure"),
        ("success", "success"),
        ("perhaps", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_status_is_brought_to_one_vocabulary_and_its_word_kept(conn, said, meant):
    row = conn.execute(
        text("""
            insert into decision_sync_event_logs (decision_id, status) values (1, :said)
            returning status, raw_status
        """),
        {"said": said},
    ).one()

    assert tuple(row) == (meant, said)


def submit(conn, reply):
    return conn.execute(
        text(
            f"{GOLD}, sanitized_reply) values ('c', 'Hi Ann', 'return_refund', {SHA}, :reply) returning id"
        ),
        {"reply": reply},
    ).scalar_one()


def test_approval_files_the_cleaned_reply_under_the_reviewers_name(conn):
    number = submit(conn, "Hi {{customerName}}")

    filed = conn.execute(text("select approve_gold_reply(:n, 'mara')"), {"n": number}).scalar()

    row = conn.execute(text("select * from support_curated_replies")).one()
    assert (row.id, row.submission_id) == (filed, number)
    assert (row.message_body, row.approver) == ("Hi {{customerName}}", "mara")


def test_a_second_approval_changes_nothing(conn):
    number = submit(conn, "Hi {{customerName}}")
    conn.execute(text("select approve_gold_reply(:n, 'mara')"), {"n": number})

    again = conn.execute(text("select approve_gold_reply(:n, 'tobin')"), {"n": number}).scalar()

    assert again is None
    assert conn.execute(text("select approver from support_curated_replies")).scalars().all() == [
        "mara"
    ]


@pytest.mark.parametrize(
    ("reply", "reviewer"), [(None, "mara"), (" ", "mara"), ("Hi", ""), ("Hi", None)]
)
def test_nothing_uncleaned_or_unnamed_is_approved(conn, reply, reviewer):
    number = submit(conn, reply)

    with pytest.raises(IntegrityError):
        conn.execute(text("select approve_gold_reply(:n, :who)"), {"n": number, "who": reviewer})


def test_a_curated_reply_outlives_its_submission(conn):
    number = submit(conn, "Hi {{customerName}}")
    conn.execute(text("select approve_gold_reply(:n, 'mara')"), {"n": number})

    conn.execute(text("delete from gold_reply_submissions"))

    assert conn.execute(text("select submission_id from support_curated_replies")).all() == [
        (None,)
    ]


def test_a_mirror_takes_what_the_outside_says(db):
    """A status that does not exist, a negative stock: rules find them, the refresh goes on."""
    with psycopg.connect(db.url) as conn:
        conn.execute(
            "insert into landing.shopify_orders (shop_domain, order_id, display_fulfillment_status) values ('s', 'o', 'PARTIAL')"
        )
        conn.execute(
            "insert into landing.shopify_inventory (shop_domain, variant_id, quantity) values ('s', 'v', -4)"
        )
        found = conn.execute("select count(*) from landing.shopify_orders").fetchone()

    assert found == (1,)


def test_a_run_is_not_deleted_under_its_marks(conn):
    conn.execute(text(f"insert into agent_run (run_id, agent_name) values ({UUID}, 'data')"))
    conn.execute(
        text("""
            insert into agent_qc (run_id, quality_score) select run_id, 4 from agent_run
        """)
    )

    with pytest.raises(IntegrityError, match="agent_qc_run_id_fkey"):
        conn.execute(text("delete from agent_run"))
