"""Migrations against a real server: up, down, up; adoption of tables that are there."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from ocd.core import migrate
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError, SchemaMismatch
from ocd.core.settings import PROJECT
from ocd.database.catalog import lines

VERSIONS = PROJECT / "migrations" / "versions"
REVISIONS = sorted(path.name[:4] for path in VERSIONS.glob("0*.py"))
#: What is not ours alone, so not in the lock file, but must come back as it was all the same.
SHARED = """
select 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') from pg_namespace where nspname in ('public', 'auth')
union all
select 'function ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) || ' ' || coalesce(p.proacl::text, '')
from pg_proc p where p.pronamespace = to_regnamespace('auth')
"""


def catalog(url):
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as conn:
        found = lines(conn) + sorted(conn.execute(text(SHARED)).scalars())
    engine.dispose()
    return found


def execute(url, *statements):
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


def test_up_down_up_leaves_an_identical_catalog(empty_database):
    migrate.upgrade(empty_database.owner_url)
    first = catalog(empty_database.superuser_url)

    migrate.downgrade(empty_database.owner_url, "base")
    migrate.upgrade(empty_database.owner_url)

    assert catalog(empty_database.superuser_url) == first


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_revision_goes_down_to_what_was_before(empty_database, revision):
    before = ["base", *REVISIONS][REVISIONS.index(revision)]
    migrate.upgrade(empty_database.owner_url, revision)
    migrate.downgrade(empty_database.owner_url, before)
    first = catalog(empty_database.superuser_url)

    migrate.upgrade(empty_database.owner_url, revision)
    migrate.downgrade(empty_database.owner_url, before)

    assert catalog(empty_database.superuser_url) == first


def test_the_sample_catalog_sees_a_disabled_row_security(empty_database):
    """The snapshot itself can fail: plant a fault and see it."""
    migrate.upgrade(empty_database.owner_url)
    first = catalog(empty_database.superuser_url)

    execute(empty_database.owner_url, "alter table public.agent_queries disable row level security")

    assert catalog(empty_database.superuser_url) != first


QUERIES = """create table public.agent_queries (id bigint generated always as identity primary key,
  query text not null, result jsonb not null, conversation_id text not null, agent text not null,
  approved boolean, human_edited boolean not null default false, latency_ms {latency}, created_at timestamptz not null default now())"""


def test_an_existing_table_is_adopted_and_its_rows_kept(empty_database):
    execute(
        empty_database.owner_url,
        QUERIES.format(latency="integer"),
        "insert into agent_queries (query, result, conversation_id, agent) values ('q', '{}', 'c1', 'data')",
    )

    migrate.upgrade(empty_database.owner_url)

    with psycopg.connect(empty_database.superuser_url) as conn:
        assert conn.execute(
            "select query, updated_at is not null from agent_queries"
        ).fetchall() == [("q", True)]


def test_downgrade_leaves_an_adopted_table_as_it_was(empty_database):
    execute(empty_database.owner_url, QUERIES.format(latency="integer"))
    columns = [
        line
        for line in catalog(empty_database.superuser_url)
        if line.startswith("column public.agent_queries")
    ]
    migrate.upgrade(empty_database.owner_url)

    migrate.downgrade(empty_database.owner_url, "base")

    after = [
        line
        for line in catalog(empty_database.superuser_url)
        if line.startswith("column public.agent_queries")
    ]
    assert after == columns


def test_a_table_of_another_shape_is_refused_with_a_list_of_differences(empty_database):
    execute(empty_database.owner_url, QUERIES.format(latency="text"))

    with pytest.raises(ConfigError, match="latency_ms is text, expected integer"):
        migrate.upgrade(empty_database.owner_url)

    assert not any("agent_feedback" in line for line in catalog(empty_database.superuser_url))


def test_downgrade_refuses_while_a_table_holds_rows(empty_database):
    migrate.upgrade(empty_database.owner_url)
    execute(
        empty_database.owner_url,
        "insert into agent_queries (query, result, conversation_id, agent) values ('q', '{}', 'c1', 'data')",
    )

    with pytest.raises(ConfigError, match="holds rows"):
        migrate.downgrade(empty_database.owner_url, "0001")


@pytest.mark.parametrize(
    ("revision", "match"),
    [("0003", "run `ocd db upgrade`"), ("9999", "update the code")],
    ids=["behind", "ahead"],
)
def test_code_and_database_must_agree(db, revision, match):
    execute(db.owner_url, f"update ocd.alembic_version set version_num = '{revision}'")
    engine = create_engine(sqlalchemy_url(db.url))

    with engine.connect() as conn, pytest.raises(SchemaMismatch, match=match):
        migrate.require_head(conn)

    engine.dispose()
