"""Faults that access rules like ours have had in the field; each stays away by a test of its own."""

from __future__ import annotations

import json
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors as pg

from ocd.core import migrate
from ocd.datasets.access import BYPASSING, ROLES
from ocd.datasets.registry import DATASETS
from ocd.datasets.views import VIEWS
from tests.conftest import at, like_supabase

RECORDS = ("facts", "decision_log", "decision_sync_event_logs", "observability_logs")
FILL = """
insert into agent_queries (query, result, conversation_id, agent)
  select 'q', '1', 'c' || n % 5000, 'data' from generate_series(1, 20000) n;
insert into decision_sync_event_logs (decision_id, status) select n, 'ok' from generate_series(1, 20) n;
insert into decision_log (scope, actor, action) values ('ops', 'a', 'b'), ('build', 'a', 'b');
insert into observability_logs (level, message, request_id) values ('INFO', 'ann@example.test asks', 'r1');
insert into facts (topic, key, value) values ('t', 'k', '1');
insert into customer_segments (shopify_customer_id, primary_segment, lifecycle_stage) values (1, 'diy_builder', 'new');
insert into product_categories (shopify_product_id, category_l1) values (1, 'Fuel & Ignition');
insert into agent_feedback (conversation_id, input_text, model_draft) values ('c1', 'in', 'out');
"""


@pytest.fixture(scope="module")
def filled(server, template):
    """A database with rows, and with the default privileges that make careless tables public."""
    for database in like_supabase(server, template):
        migrate.upgrade(database.owner_url)
        with psycopg.connect(database.superuser_url, autocommit=True) as conn:
            conn.execute(FILL)
            conn.execute("analyze")
        yield database


@pytest.fixture
def session(filled):
    """One session, as a pooler keeps it: become(role, **claims) opens a transaction in it."""
    with psycopg.connect(filled.superuser_url) as conn:

        @contextmanager
        def become(database_role, /, **claims):
            conn.execute(f"set local role {database_role}")
            conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
            try:
                yield conn
            finally:
                conn.rollback()

        become.raw = conn
        yield become


def count(conn, relation):
    return conn.execute(f"select count(*) from {relation}").fetchone()[0]


def test_a_view_shows_no_more_than_its_table(session):
    """A view that runs as its owner once showed every row to whoever was signed in."""
    with session("authenticated") as conn, pytest.raises(pg.InsufficientPrivilege):
        count(conn, "public.decision_sync_events")
    with session("ai_readonly") as conn:
        seen = count(conn, "public.decision_sync_events")

        assert seen == count(conn, "public.decision_sync_event_logs") == 20


def test_a_view_obeys_the_policies_of_the_table_below(session):
    session.raw.execute("drop policy ai_readonly_select on public.decision_sync_event_logs")

    with session("ai_readonly") as conn:
        assert count(conn, "public.decision_sync_events") == 0


def test_nobody_signed_in_calls_a_function_that_acts(session):
    """Tile functions that ran as their owner could be called by anybody, for any shop."""
    for role in ("anon", "authenticated", "support_webhook"):
        with session(role) as conn, pytest.raises(pg.InsufficientPrivilege):
            conn.execute("select public.approve_gold_reply(1, 'me')")


@pytest.mark.parametrize("setting", ["app.conversation_id", "app.current_conversation", "app.role"])
def test_a_setting_that_anybody_may_set_opens_nothing(session, setting):
    with session("authenticated") as conn:
        conn.execute("select set_config(%s, 'c2', true)", [setting])

        assert count(conn, "agent_queries") == 0


def test_the_owner_of_a_conversation_sees_it_after_others_used_the_session(session):
    """A setting that was local to a transaction comes back as '', not as null."""
    for who in ("c1", "c2"):
        with session("authenticated", conversation_id=who) as conn:
            assert count(conn, "agent_queries") == 4


def test_an_empty_claim_is_no_claim(session):
    conn = session.raw
    conn.execute("select set_config('request.jwt.claims', '', false)")
    conn.commit()
    conn.execute("set local role authenticated")

    assert count(conn, "agent_queries") == 0
    conn.rollback()


@pytest.mark.parametrize("role", ["qa_team", "operator_readonly", "service_role", "annotator"])
def test_a_role_named_in_a_token_gives_no_right_of_that_role(session, role):
    """The claim `role` names the database role of the request; only the database role counts."""
    with session("authenticated", role=role, app_role=role) as conn:
        assert count(conn, "agent_queries") == 0
        with pytest.raises(pg.InsufficientPrivilege):
            conn.execute("update agent_queries set approved = true")


def test_a_staff_role_works_as_a_role_of_the_database(session):
    with session("qa_team", role="qa_team", sub="mara") as conn:
        assert count(conn, "agent_queries") == 20_000
        done = conn.execute("update agent_feedback set safe_to_send = true, annotator = 'mara'")
        assert done.rowcount == 1


SUBMIT = """
insert into gold_reply_submissions (conversation_id, original_reply, category, payload_sha256, delivery_id)
values ('c1', 'Hi', 'return_refund', repeat('a', 64), 'd1') on conflict do nothing
"""


def test_the_webhook_adds_a_submission_once_and_sees_none(session):
    with session("support_webhook") as conn:
        assert conn.execute(SUBMIT).rowcount == 1
        assert conn.execute(SUBMIT).rowcount == 0
        with pytest.raises(pg.InsufficientPrivilege):
            count(conn, "gold_reply_submissions")


def test_the_webhook_cannot_approve_its_own_submission(session):
    with session("support_webhook") as conn, pytest.raises(pg.InsufficientPrivilege):
        conn.execute("""
            insert into gold_reply_submissions
              (conversation_id, original_reply, sanitized_reply, category, payload_sha256, status, reviewed_by, reviewed_at)
            values ('c1', 'Hi', 'Hi', 'return_refund', repeat('b', 64), 'approved', 'me', now())
        """)


def test_the_reader_for_ai_reads_exactly_four_objects(session):
    readable = set()
    for relation in [one.table for one in DATASETS] + [view.name for view in VIEWS]:
        with session("ai_readonly") as conn:
            try:
                conn.execute(f"select 1 from {relation} limit 1")
            except pg.InsufficientPrivilege:
                continue
            readable.add(relation)

    assert readable == {
        "public.decision_sync_event_logs",
        "public.decision_sync_events",
        "public.facts",
        "public.support_curated_replies",
    }


@pytest.mark.parametrize(
    "role",
    ["ai_readonly", "analytics_reader", "monitoring_team", "ocd_reader", "operator_readonly"],
)
def test_a_role_that_reads_changes_nothing(session, role):
    """A role called readonly once could update every row of every query."""
    for dataset in DATASETS:
        for statement in (
            f"update {dataset.table} set {dataset.columns[1].name} = {dataset.columns[1].name}",
            f"delete from {dataset.table}",
        ):
            with session(role) as conn, pytest.raises(pg.InsufficientPrivilege):
                conn.execute(statement)


@pytest.mark.parametrize(
    "relation", [one.table for one in DATASETS] + [view.name for view in VIEWS]
)
def test_who_is_not_signed_in_reads_nothing(session, relation):
    with (
        session("anon", conversation_id="c1", project="occ") as conn,
        pytest.raises(pg.InsufficientPrivilege),
    ):
        conn.execute(f"select * from {relation}")


def test_a_log_line_is_read_by_its_own_request_only(session):
    """INFO lines were readable by everybody signed in, and held customers' addresses."""
    with session("authenticated", request_id="r2") as conn:
        assert count(conn, "observability_logs") == 0
    with session("authenticated", request_id="r1") as conn:
        assert count(conn, "observability_logs") == 1


@pytest.mark.parametrize("table", RECORDS)
def test_a_record_is_changed_by_nobody_not_even_the_service(session, table):
    """Policies that say no add nothing; the right itself is missing."""
    for role in ROLES:
        with (
            session(role, project="occ", scope="ops", request_id="r1") as conn,
            pytest.raises(pg.InsufficientPrivilege),
        ):
            conn.execute(f"update {table} set created_at = created_at")


@pytest.mark.parametrize("table", ["agent_approvals", "agent_feedback", "agent_queries"])
def test_the_own_rows_are_found_by_their_index(session, table):
    """Wrapped claims are one value; a bare call, or an `or`, reads the table row by row."""
    with session("authenticated", conversation_id="c1") as conn:
        conn.execute("set local enable_seqscan = on")
        rows = conn.execute(f"explain (costs off) select * from {table}").fetchall()

    plan = "\n".join(row[0] for row in rows)
    assert "InitPlan" in plan
    if table == "agent_queries":  # the others are too small for an index to pay
        assert f"{table}_conversation_id_idx" in plan
        assert "Seq Scan" not in plan


def test_a_claim_is_read_once_however_many_rows_are_looked_at(session):
    """Twenty thousand rows, one call: a bare call in the policy would be made for each of them."""
    conn = session.raw
    conn.execute("set local track_functions = 'all'")
    conn.execute("""
        create or replace function auth.jwt() returns jsonb language plpgsql stable as
        $$ begin return nullif(current_setting('request.jwt.claims', true), '')::jsonb; end $$
    """)
    conn.execute("set local enable_indexscan = off")
    conn.execute("set local enable_bitmapscan = off")
    with session("authenticated", conversation_id="c1"):
        seen = count(conn, "agent_queries")
        conn.execute("reset role")
        calls = conn.execute(
            "select calls from pg_stat_xact_user_functions where schemaname = 'auth'"
        ).fetchone()

    assert (seen, calls) == (4, (1,))


@pytest.mark.parametrize("table", ["agent_queries", "facts", "customer_segments"])
def test_the_owner_of_a_table_is_under_its_policies_too(filled, table):
    with psycopg.connect(filled.superuser_url) as conn:
        conn.execute("create role plain_owner nologin")
        conn.execute(f"alter table {table} owner to plain_owner")
        conn.execute("set local role plain_owner")

        assert count(conn, table) == 0
        conn.rollback()


def test_a_copy_under_row_security_fails_instead_of_being_empty(filled):
    with psycopg.connect(at(filled.url, user="ocd_api", password="api")) as conn:
        conn.execute("set local role authenticated")
        conn.execute("set local row_security = off")

        with pytest.raises(pg.InsufficientPrivilege, match="row-level security"):
            conn.execute("select * from agent_queries")


def test_the_roles_that_see_everything_are_no_persons(filled):
    with psycopg.connect(filled.superuser_url) as conn:
        members = conn.execute(
            "select m.member::regrole::text from pg_auth_members m where m.roleid::regrole::text = any(%s)",
            [sorted(BYPASSING)],
        ).fetchall()

    assert {name for (name,) in members} <= {"ocd_owner"}
