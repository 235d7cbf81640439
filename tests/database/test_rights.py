"""The live catalog gives exactly the rights that the facts say, on plain PostgreSQL and on Supabase."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from ocd.core import migrate
from ocd.core.db import sqlalchemy_url
from ocd.database import rights
from ocd.datasets.access import BYPASSING, CLAIMS, SWITCHED
from ocd.datasets.facts import Scope
from ocd.datasets.registry import DATASETS
from ocd.datasets.views import FUNCTIONS, VIEWS
from tests.conftest import at


@contextmanager
def connected(url):
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as conn:
        yield conn
    engine.dispose()


@pytest.fixture
def supabase(supabase_database):
    """A database as Supabase makes it, migrated."""
    migrate.upgrade(supabase_database.owner_url)
    return supabase_database


def test_nobody_may_do_more_than_the_facts_say(conn):
    assert sorted(map(str, rights.granted(conn) - rights.said())) == []


def test_everybody_may_do_all_that_the_facts_say(conn):
    assert sorted(map(str, rights.said() - rights.granted(conn))) == []


def test_the_policies_are_the_ones_of_the_facts(conn):
    assert rights.policies_granted(conn) == rights.policies_said()


def test_default_privileges_of_supabase_change_nothing(supabase):
    with connected(supabase.superuser_url) as conn:
        assert rights.granted(conn) == rights.said()
        assert rights.policies_granted(conn) == rights.policies_said()


def test_without_our_revokes_the_default_privileges_would_be_seen(supabase):
    """The imitation works: a table of somebody else belongs to everybody there."""
    with psycopg.connect(supabase.owner_url, autocommit=True) as owner:
        owner.execute("create table public.theirs (id int)")

    with connected(supabase.superuser_url) as conn:
        beyond = rights.granted(conn) - rights.said()

    assert rights.Right("public.theirs", "anon", "select") in beyond
    assert rights.Right("public.theirs", "authenticated", "truncate") in beyond


def test_the_auth_functions_of_supabase_are_left_alone(supabase):
    with psycopg.connect(supabase.superuser_url) as conn:
        source, owner = conn.execute(
            "select prosrc, proowner::regrole::text from pg_proc where oid = 'auth.jwt()'::regprocedure"
        ).fetchone()

    assert "request.jwt.claim'" in source
    assert owner == "postgres"


def test_there_is_one_policy_per_table_role_and_verb(conn):
    found = conn.execute(
        text("select tablename, roles, cmd, permissive from pg_policies where schemaname <> 'ocd'")
    ).all()

    assert all(len(row.roles) == 1 and row.cmd != "ALL" for row in found)
    assert len({(row.tablename, row.roles[0], row.cmd) for row in found}) == len(found)
    assert {row.permissive for row in found} == {"PERMISSIVE"}


def test_no_policy_asks_for_a_setting_but_the_claims(conn):
    conditions = conn.execute(
        text("select coalesce(qual, '') || coalesce(with_check, '') from pg_policies")
    ).scalars()

    assert not any("current_setting" in one or "app." in one for one in conditions)


def test_every_claim_is_read_once_per_statement_not_per_row(conn):
    """`(select …)` becomes one value before the scan; a bare call is made for every row."""
    conditions = conn.execute(
        text("select coalesce(qual, '') || ' ' || coalesce(with_check, '') from pg_policies")
    ).scalars()

    bare = [one for one in conditions if one.count("auth.") != one.count("( SELECT ")]
    assert bare == []


@pytest.mark.parametrize(
    ("table", "column"),
    sorted(
        {
            (one.table, CLAIMS[access.scope][0])
            for one in DATASETS
            for access in one.access
            if access.scope in CLAIMS
        }
    ),
)
def test_a_column_that_a_policy_compares_leads_an_index(conn, table, column):
    leading = conn.execute(
        text("""
            select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = to_regclass(:table) and i.indpred is null
        """),
        {"table": table},
    ).scalars()

    assert column in set(leading)


@pytest.mark.parametrize("view", VIEWS, ids=lambda one: one.name)
def test_a_view_runs_with_the_rights_of_who_reads_it(conn, view):
    options, comment = conn.execute(
        text("""
            select reloptions, obj_description(oid, 'pg_class') from pg_class
            where oid = to_regclass(:name) and relkind = 'v'
        """),
        {"name": view.name},
    ).one()

    assert "security_invoker=true" in options
    assert comment == view.description


def test_every_view_is_one_of_the_facts_and_none_is_materialized(conn):
    found = conn.execute(
        text("""
            select n.nspname || '.' || c.relname as name, c.relkind::text as kind from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('public', 'landing', 'ocd') and c.relkind in ('v', 'm')
        """)
    ).all()

    assert {row.name for row in found} == {view.name for view in VIEWS}
    assert {row.kind for row in found} == {"v"}


def test_every_function_has_a_fixed_search_path_and_runs_as_its_caller(conn):
    found = conn.execute(
        text("""
            select p.oid::regprocedure::text as name, p.proconfig, p.prosecdef from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'landing', 'ocd')
        """)
    ).all()

    assert found
    assert [row.name for row in found if 'search_path=""' not in (row.proconfig or [])] == []
    assert [row.name for row in found if row.prosecdef] == []


@pytest.mark.parametrize("one", FUNCTIONS, ids=lambda one: one.signature)
def test_a_function_of_the_facts_exists(conn, one):
    name, _, arguments = one.signature.partition("(")
    types = ", ".join(part.split(" ", 1)[1] for part in arguments.rstrip(")").split(", "))

    assert conn.execute(text("select to_regprocedure(:n)"), {"n": f"{name}({types})"}).scalar()


def test_only_the_logins_that_must_see_every_row_bypass_row_security(conn):
    bypassing = conn.execute(
        text("select rolname from pg_roles where rolbypassrls and not rolsuper")
    ).scalars()

    assert set(bypassing) == BYPASSING | {"ocd_owner"}


def test_the_api_login_can_become_who_asks_and_nobody_else(conn):
    may = {
        role: conn.execute(
            text("select pg_has_role('ocd_api', :role, 'member')"), {"role": role}
        ).scalar()
        for role in (*SWITCHED, *BYPASSING, "anon", "ocd_owner", "ocd_reader")
    }

    assert {role for role, yes in may.items() if yes} == set(SWITCHED)


def test_the_api_login_by_itself_reads_nothing(db):
    with (
        psycopg.connect(at(db.url, user="ocd_api", password="api")) as api,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        api.execute("select count(*) from public.facts")


def test_every_scope_of_a_claim_says_its_column():
    assert set(CLAIMS) == set(Scope) - {Scope.ALL, Scope.UNDECIDED}
