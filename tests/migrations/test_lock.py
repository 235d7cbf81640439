"""The lock file is the schema of the newest revision, and every live schema is compared with it."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine

from ocd.core import migrate
from ocd.core.db import sqlalchemy_url
from ocd.database import catalog, lock


def drift_of(url):
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as conn:
        found = catalog.drift(conn)
    engine.dispose()
    return found


def test_a_fresh_database_at_head_is_what_the_lock_file_says(conn):
    """Where they differ, read the difference, then write the file anew with `make schema-lock`."""
    assert catalog.lines(conn) == catalog.locked()


def test_the_lock_file_is_written_from_a_fresh_database(tmp_path, monkeypatch, capsys):
    written = tmp_path / "schema.lock"
    meant = catalog.locked()
    monkeypatch.setattr(catalog, "lock_file", lambda: written)

    code = lock.main()

    assert (code, written.read_text().splitlines()) == (0, meant)
    assert capsys.readouterr().out == f"{len(meant)} lines in schema.lock\n"


def test_on_supabase_the_schema_is_the_same(supabase_database):
    migrate.upgrade(supabase_database.owner_url)

    assert drift_of(supabase_database.superuser_url) == catalog.Drift((), ())


PLANTED = {
    "row security switched off": (
        "alter table public.agent_queries disable row level security",
        "table public.agent_queries rls=false",
    ),
    "row security no longer forced": (
        "alter table public.facts no force row level security",
        "table public.facts rls=true force=false",
    ),
    "a policy more": (
        "create policy leak on public.facts for select to authenticated using (true)",
        "policy public.facts leak",
    ),
    "a right more": (
        "grant select on public.facts to anon",
        "grant public.facts to anon: select",
    ),
    "a right to a column more": (
        "grant update (value) on public.facts to authenticated",
        "grant public.facts.value to authenticated: insert, update",
    ),
    "a function open to everybody": (
        "grant execute on function public.approve_gold_reply(bigint, text) to public",
        "to public: execute",
    ),
    "a function without a search path": (
        "alter function ocd.touch_updated_at() reset search_path",
        "function ocd.touch_updated_at()",
    ),
    "a view that runs as its owner": (
        "alter view public.decision_sync_events reset (security_invoker)",
        "view public.decision_sync_events rls=false force=false options=",
    ),
    "a trigger switched off": (
        "alter table public.dashboard_facts disable trigger touch_updated_at",
        "enabled=D",
    ),
    "a column more": ("alter table public.facts add column note text", "column public.facts.note"),
    "another default": (
        "alter table public.facts alter column project set default 'x'",
        "default 'x'",
    ),
    "a check that was not looked at": (
        "alter table public.facts add constraint odd check (key <> 'x') not valid",
        "NOT VALID",
    ),
    "a table more in our schema": ("create table ocd.note (id int)", "table ocd.note"),
}


@pytest.mark.parametrize(("statement", "seen"), PLANTED.values(), ids=PLANTED)
def test_a_change_by_hand_is_seen(db, statement, seen):
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute(statement)

    assert any(seen in line for line in drift_of(db.url).unexpected)


def test_what_is_gone_is_seen(db):
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute("drop index public.facts_project_idx")

    (line,) = drift_of(db.url).missing

    assert "facts_project_idx" in line


def test_what_somebody_keeps_beside_ours_is_no_drift(db):
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute("create table public.theirs (id int primary key)")

    assert drift_of(db.url) == catalog.Drift((), ())
