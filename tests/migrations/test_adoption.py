"""A database that was there before: every row is kept, and what would be run over is refused."""

from __future__ import annotations

import psycopg
import pytest

from ocd.core import migrate
from ocd.core.errors import ConfigError
from ocd.database import rights
from tests.database.test_rights import connected

#: The agent tables as desks have them: without our additions, two with an index of their own.
THEIRS = """
create table public.agent_approvals (
  id bigint generated always as identity primary key, conversation_id text not null,
  serialized jsonb not null, last_interruptions jsonb default '[]', created_at timestamptz not null default now(),
  approved_by text, status text not null default 'pending'
);
create table public.agent_feedback (
  id bigserial primary key, conversation_id text not null, input_text text not null,
  model_draft text not null, safe_to_send boolean, labels text[] not null default '{}',
  rubric jsonb not null default '{}', annotator text, notes text, meta jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create table public.agent_queries (
  id bigint generated always as identity primary key, query text not null, result jsonb not null,
  conversation_id text not null, agent text not null, approved boolean,
  human_edited boolean not null default false, latency_ms integer, created_at timestamptz not null default now()
);
create index theirs on public.agent_feedback using gin (labels);
"""

ROWS = """
insert into public.agent_approvals (conversation_id, serialized, last_interruptions, status, approved_by, created_at)
  select 'c' || n % 7, jsonb_build_object('n', n), jsonb_build_array(jsonb_build_object('type', 'timeout', 'n', n)),
    (array['pending', 'approved', 'expired'])[1 + n % 3], 'a', now() - interval '1 hour' * n
  from generate_series(1, 300) n;
insert into public.agent_feedback
  (conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, notes, meta, created_at)
  select 'c' || n % 7, 'in ' || n, 'out ' || n, (array[true, false, null])[1 + n % 3], array['helpful'],
    jsonb_build_object('clarity', 1 + n % 5), 'a' || n, 'note ' || n, jsonb_build_object('n', n), now() - interval '1 hour' * n
  from generate_series(1, 300) n;
insert into public.agent_queries (query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at)
  select 'q' || n, to_jsonb(n), 'c' || n % 7, 'data', (array[true, false, null])[1 + n % 3], n % 2 = 0, n,
    now() - interval '1 hour' * n
  from generate_series(1, 300) n;
"""

#: Every column of theirs.
CONTENT = {
    "agent_approvals": "id, conversation_id, serialized, last_interruptions, created_at, approved_by, status",
    "agent_feedback": (
        "id, conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, notes, meta, created_at"
    ),
    "agent_queries": (
        "id, query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at"
    ),
}


@pytest.fixture
def theirs(empty_database):
    execute(empty_database.owner_url, THEIRS)
    execute(empty_database.owner_url, ROWS)
    return empty_database


def execute(url, statements):
    with psycopg.connect(url) as conn:
        conn.execute(statements)


def content(url):
    with psycopg.connect(url) as conn:
        return {
            table: conn.execute(f"select {columns} from public.{table} order by id").fetchall()
            for table, columns in CONTENT.items()
        }


def everything(url):
    """The same as `content` while nothing is added to the tables, without naming columns."""
    with psycopg.connect(url) as conn:
        return {
            table: conn.execute(f"table public.{table} order by id").fetchall() for table in CONTENT
        }


def test_every_row_of_all_three_tables_is_kept(theirs):
    before = content(theirs.superuser_url)
    assert before == everything(theirs.superuser_url)

    migrate.upgrade(theirs.owner_url)

    assert content(theirs.superuser_url) == before
    assert {len(rows) for rows in before.values()} == {300}


def test_a_downgrade_keeps_their_rows_as_well(theirs):
    before = content(theirs.superuser_url)
    migrate.upgrade(theirs.owner_url)

    migrate.downgrade(theirs.owner_url, "base")

    assert everything(theirs.superuser_url) == before


@pytest.mark.parametrize("table", ["public.facts", "public.decision_log", "landing.shopify_orders"])
def test_a_table_of_our_name_that_is_there_is_refused_before_anything_changes(
    empty_database, table
):
    if table.startswith("landing"):
        migrate.upgrade(empty_database.owner_url, "0007")
    execute(empty_database.owner_url, f"create table {table} (note text)")

    with pytest.raises(ConfigError, match=f"alter table {table} rename to"):
        migrate.upgrade(empty_database.owner_url)

    with psycopg.connect(empty_database.superuser_url) as conn:
        columns = conn.execute(
            "select count(*) from pg_attribute where attrelid = %s::regclass and attnum > 0",
            [table],
        ).fetchone()
    assert columns == (1,)


def test_a_downgrade_refuses_to_drop_a_table_with_rows(empty_database):
    migrate.upgrade(empty_database.owner_url)
    execute(
        empty_database.superuser_url,
        "insert into public.decision_log (scope, actor, action) values ('ops', 'somebody', 'waited')",
    )

    with pytest.raises(ConfigError, match=r"public\.decision_log holds rows"):
        migrate.downgrade(empty_database.owner_url, "0005")


def test_a_foreign_policy_on_an_agent_table_is_refused_by_name(theirs):
    before = content(theirs.superuser_url)
    execute(
        theirs.owner_url,
        'create policy "read all" on public.agent_queries for select using (true)',
    )

    with pytest.raises(ConfigError, match='drop policy "read all" on public.agent_queries'):
        migrate.upgrade(theirs.owner_url)

    assert content(theirs.superuser_url) == before


def test_adopted_tables_of_supabase_are_closed_to_everybody_who_was_not_meant(supabase_database):
    """There they were made with default privileges: `anon` could read, write and truncate them."""
    execute(supabase_database.owner_url, THEIRS)
    execute(supabase_database.owner_url, ROWS)
    before = content(supabase_database.superuser_url)

    migrate.upgrade(supabase_database.owner_url)

    with connected(supabase_database.superuser_url) as conn:
        assert rights.granted(conn) == rights.said()
        assert rights.policies_granted(conn) == rights.policies_said()
    assert content(supabase_database.superuser_url) == before
