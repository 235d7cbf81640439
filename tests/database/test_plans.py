"""The questions that are asked all day are answered by an index, whatever the tables grow to."""

from __future__ import annotations

import re

import psycopg
import pytest

from ocd.core.db import now_of
from ocd.local.seed import seed
from tests.conftest import _database
from tests.database.test_rights import connected

#: Enough rows that reading a whole table is never the cheapest way to a few of them.
ROWS = 40_000
#: Another index serves a question as well if its plan costs at most so many times as much.
AS_WELL = 3
QUEUE = "agent_approvals_pending_idx"

#: The sample has few of these; a desk of some years has many.
GROWN = """
insert into agent_qc (run_id, quality_score)
  select run_id, 3 from agent_run, generate_series(1, 10) where agent_name <> 'support';
insert into support_curated_replies (message_body, approver, tags)
  select 'm' || n, 'mara', array['t' || n % 50] from generate_series(1, 10000) n;
"""

#: what is asked → the question
STAFF = {
    "the queue's oldest pending approvals": "select * from agent_approvals where status = 'pending' order by created_at limit 20",
    "the newest queries of an agent": "select * from agent_queries where agent = 'support' order by created_at desc limit 20",
    "the newest queries": "select * from agent_queries order by created_at desc limit 20",
    "slow answers, slowest first": "select * from agent_queries where latency_ms > 100 order by latency_ms desc limit 20",
    "feedback by a label": "select * from agent_feedback where labels @> array['nowhere']",
    "what an annotator judged": "select * from agent_feedback where annotator = 'nobody'",
    "the last runs of an agent": "select * from agent_run where agent_name = 'support' order by started_at desc limit 20",
    "marks of a run": "select * from agent_qc where run_id = '5eed0000-0000-4000-8000-000000000000'",
    "the newest decisions of a scope": "select * from decision_log where scope = 'build' order by created_at desc limit 20",
    "decisions about a conversation": "select * from decision_log where external_ref = 'chatwoot:5' order by created_at",
    "the newest decision syncs": "select * from decision_sync_events limit 20",
    "log lines of a request": "select * from observability_logs where request_id = 'demo-5'",
    "the newest log lines of a level": "select * from observability_logs where level = 'ERROR' order by created_at desc limit 5",
    "the newest fact of a kind": "select * from facts where project = 'demo' and topic = 'x' and key = 'y' order by created_at desc limit 1",
    "the newest fact of a shop": "select * from dashboard_facts where shop_domain = 'x' and fact_type = 'a.b' order by created_at desc limit 1",
    "proposals that wait": "select * from gold_reply_submissions where status = 'pending' order by created_at limit 5",
    "replies by a tag": "select * from support_curated_replies where tags @> array['nowhere']",
    "messages of a conversation": "select * from landing.chatwoot_messages where account_id = 0 and conversation_id = 5 order by created_at",
    "lines of an order": "select * from landing.shopify_order_lines where shop_domain = 'demo-shop.example' and order_id = 'gid://shopify/Order/5'",
    "the newest orders of a shop": "select * from landing.shopify_orders where shop_domain = 'demo-shop.example' order by created_at desc limit 20",
}


@pytest.fixture(scope="module")
def desk(server, template):
    """A desk with some history, and fresh statistics."""
    for database in _database(server, template):
        with connected(database.superuser_url) as conn:
            seed(conn, rows=ROWS, faults=False, now=now_of(conn), progress=None)
            conn.commit()
        with psycopg.connect(database.superuser_url, autocommit=True) as conn:
            conn.execute(GROWN)
            conn.execute("analyze")
            yield conn


def plan(conn, query):
    return "\n".join(row[0] for row in conn.execute(f"explain (costs off) {query}"))


def costs(conn, query):
    (plans,) = conn.execute(f"explain (format json) {query}").fetchone()
    return plans[0]["Plan"]["Total Cost"]


#: As good as dropped, also where a constraint keeps it; until the transaction is rolled back.
LOSE = """
update pg_index set indisvalid = false
where indexrelid = (select oid from pg_class where relname = %s and relkind = 'i')
"""


@pytest.mark.parametrize("query", STAFF.values(), ids=STAFF)
def test_an_everyday_question_reads_no_whole_table(desk, query):
    found = plan(desk, query)

    assert "Seq Scan" not in found, found
    assert "Index" in found


def test_the_queue_of_approvals_has_an_index_of_its_own(desk):
    """Any other walks past what was decided: cheap while the table is small."""
    question = STAFF["the queue's oldest pending approvals"]

    assert QUEUE in plan(desk, question)


@pytest.mark.parametrize("query", STAFF.values(), ids=STAFF)
def test_an_index_that_is_lost_is_seen(desk, query):
    """The tests above fail without any index that a question takes, unless another serves as well."""
    before = costs(desk, query)

    after = {}
    for index in re.findall(r"(?:using|Index Scan on) (\w+_(?:idx|key))", plan(desk, query)):
        desk.execute("begin")
        desk.execute(LOSE, [index])
        is_seen = index == QUEUE or "Seq Scan" in plan(desk, query)
        after[index] = (costs(desk, query), is_seen)
        desk.execute("rollback")

    assert after
    assert [
        one for one, (cost, is_seen) in after.items() if not is_seen and cost > AS_WELL * before
    ] == []


@pytest.mark.parametrize("table", ["agent_approvals", "agent_feedback", "agent_queries"])
def test_the_own_rows_of_a_person_read_no_whole_table(desk, table):
    """Row security adds its condition; the index answers that as well."""
    desk.execute("begin")
    desk.execute("set local role authenticated")
    desk.execute(
        """select set_config('request.jwt.claims', '{"conversation_id": "demo-5"}', true)"""
    )

    found = plan(desk, f"select * from {table}")
    desk.execute("rollback")

    assert f"{table}_conversation_id_idx" in found
    assert "Seq Scan" not in found


def test_a_question_without_an_index_is_seen(desk):
    """The test can fail: nothing leads with the question's column here."""
    assert "Seq Scan" in plan(desk, "select * from agent_queries where query = 'x'")
