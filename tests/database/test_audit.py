"""Each finding, planted and seen; and nothing found on our own schema."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from ocd.core import migrate
from ocd.core.db import now_of, redacted
from ocd.core.settings import Settings
from ocd.database.audit import audit, look
from ocd.database.checks import CHECKS
from ocd.database.findings import Limits, Severity, Stack
from ocd.database.stack import stack_of
from tests.conftest import at
from tests.database.test_rights import connected
from tests.factories.agents import make_query

ALONE = Stack({"OCD_DATABASE_URL": "h:5432/ocd"}, frozenset({"psycopg", "celery"}))
#: Counts from the first byte and row on, so that a test need not wait a month.
STRICT = Limits(
    unused_for=timedelta(days=-1), unused_bytes=0, bloat_rows=100, overdue_after=timedelta(days=7)
)


@pytest.fixture
def plant(db):
    """Run statements as the owner, or as the superuser."""

    def deed(*statements, as_superuser=False):
        url = db.superuser_url if as_superuser else db.owner_url
        with psycopg.connect(url, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement)

    return deed


def found(conn, check, limits=None, stack=ALONE):
    seen = look(conn, now=now_of(conn), stack=stack, limits=limits)
    return {(one.object, one.detail) for one in seen if one.check == check}


def test_our_own_schema_has_no_finding(conn):
    assert look(conn, now=now_of(conn), stack=ALONE) == []


def test_our_own_schema_has_none_on_supabase_either(supabase_database):
    migrate.upgrade(supabase_database.owner_url)

    with connected(supabase_database.superuser_url) as conn:
        assert look(conn, now=now_of(conn), stack=ALONE) == []


#: check → (statements of somebody in a hurry, object, part of what is said)
PLANTED = {
    "row_security_off": (
        ("alter table public.agent_queries disable row level security",),
        "public.agent_queries",
        "row security is off",
    ),
    "row_security_off: not forced": (
        ("alter table public.facts no force row level security",),
        "public.facts",
        "not forced",
    ),
    "row_security_without_policy": (
        (
            "create table public.theirs (id int primary key)",
            "alter table public.theirs enable row level security",
            "alter table public.theirs force row level security",
        ),
        "public.theirs",
        "no policy",
    ),
    "policy_per_row": (
        (
            "create policy bare on public.facts for select to ocd_reader using (project = auth.jwt() ->> 'project')",
        ),
        "public.facts",
        "policy bare calls auth.jwt for every row",
    ),
    "policy_per_row: a setting": (
        (
            "create policy bare on public.facts for select to ocd_reader using (project = current_setting('app.x'))",
        ),
        "public.facts",
        "policy bare calls current_setting for every row",
    ),
    "policy_always_true: written": (
        (
            "create policy open on public.facts for update to annotator using (true) with check (true)",
        ),
        "public.facts",
        "policy open lets annotator update every row",
    ),
    "policy_always_true: read by everybody": (
        ("create policy open on public.customer_segments for select using (true)",),
        "public.customer_segments",
        "policy open lets public select every row",
    ),
    "policies_add_up": (
        ("create policy more on public.facts for select to ai_readonly using (project = 'x')",),
        "public.facts",
        "2 policies let ai_readonly select",
    ),
    "policies_add_up: one for all verbs, one for everybody": (
        ("create policy more on public.facts for all using (project = 'x')",),
        "public.facts",
        "2 policies let authenticated insert",
    ),
    "view_runs_as_owner": (
        ("create view public.leak as select * from public.agent_queries",),
        "public.leak",
        "runs as its owner",
    ),
    "function_open": (
        (
            "create function public.tile() returns int language sql security definer set search_path = '' as 'select 1'",
        ),
        "tile()",
        "everybody may call it",
    ),
    "search_path_mutable": (
        ("create function ocd.loose() returns int language sql as 'select 1'",),
        "ocd.loose()",
        "search_path",
    ),
    "materialized_view_in_reach": (
        (
            "create materialized view public.totals as select count(*) from public.agent_queries",
            "grant select on public.totals to authenticated",
        ),
        "public.totals",
        "authenticated may read it",
    ),
    "rights_beyond_facts": (
        ("grant update on public.agent_queries to operator_readonly",),
        "public.agent_queries",
        "operator_readonly may update public.agent_queries",
    ),
    "rights_beyond_facts: a function": (
        ("grant execute on function public.approve_gold_reply(bigint, text) to authenticated",),
        "public.approve_gold_reply(submission bigint, reviewer text)",
        "authenticated may execute",
    ),
    "rights_beyond_facts: a wider policy": (
        ("alter policy authenticated_select on public.facts using (true)",),
        "public.facts",
        "a policy lets authenticated select rows that no fact gives",
    ),
    "rights_lacking": (
        ("revoke select on public.facts from ai_readonly",),
        "public.facts",
        "ai_readonly may select public.facts by the facts, but not here",
    ),
    "rights_lacking: a policy": (
        ("drop policy ai_readonly_select on public.facts",),
        "public.facts",
        "no policy lets ai_readonly select",
    ),
    "schema_drift": (
        ("alter table public.facts add column note text",),
        "column public.facts.note text",
        "unexpected, says the lock file",
    ),
    "schema_drift: gone": (
        ("drop index public.facts_project_idx",),
        "index CREATE INDEX facts_project_idx ON public.facts USING btree (project, topic, key, created_at DESC)",
        "missing, says the lock file",
    ),
    "foreign_key_unindexed": (
        ("drop index public.agent_qc_run_id_idx",),
        "agent_qc",
        "no index leads with the columns of agent_qc_run_id_fkey",
    ),
    "no_primary_key": (
        ("create table ocd.note (said text)",),
        "ocd.note",
        "no primary key",
    ),
    "index_duplicate": (
        ("create index twice on public.facts (created_at desc)",),
        "twice",
        "the same as facts_created_at_idx",
    ),
}


@pytest.mark.parametrize(
    ("name", "statements", "object_", "said"),
    [(name, *planted) for name, planted in PLANTED.items()],
    ids=PLANTED,
)
def test_what_somebody_did_in_a_hurry_is_found(conn, plant, name, statements, object_, said):
    plant(*statements)

    seen = found(conn, name.split(":")[0])

    assert [one for one in seen if one[0] == object_ and said in one[1]], seen


def test_an_index_that_nobody_uses_is_found(conn, plant):
    plant("create index idle on public.facts (topic)")

    assert "never used" in dict(found(conn, "index_unused", STRICT))["idle"]


def test_a_small_or_young_index_is_left_alone(conn, plant):
    plant("create index idle on public.facts (topic)")

    assert found(conn, "index_unused") == set()


def test_dead_rows_and_old_statistics_are_found(conn, plant):
    plant(
        "insert into public.facts (topic, key, value) select 't', 'k', '1' from generate_series(1, 1000)",
        "delete from public.facts",
        "select pg_stat_force_next_flush()",
        as_superuser=True,
    )

    seen = {detail.split(":")[0] for table, detail in found(conn, "bloat", STRICT)}

    assert seen == {"dead rows", "statistics"}


def test_rows_long_past_their_time_are_found(conn):
    now = now_of(conn)
    make_query(conn, created_at=now - timedelta(days=38), latency_ms=20)
    make_query(conn, created_at=now - timedelta(days=38), latency_ms=500)
    conn.commit()

    assert found(conn, "retention_overdue") == {
        ("public.agent_queries", "1 rows are more than 7 days past retention")
    }


def test_rows_that_the_next_purge_takes_are_not_overdue(conn):
    make_query(conn, created_at=now_of(conn) - timedelta(days=36), latency_ms=20)
    conn.commit()

    assert found(conn, "retention_overdue") == set()


def test_a_second_database_and_a_second_driver_are_found(conn):
    stack = Stack(
        {"OCD_DATABASE_URL": "h:5432/ocd", "OCD_READER_DATABASE_URL": "h:5432/other"},
        frozenset({"psycopg", "pymongo"}),
    )

    seen = dict(found(conn, "second_stack", stack=stack))

    assert set(seen) == {"OCD_READER_DATABASE_URL", "pymongo"}


@pytest.mark.parametrize(
    ("owner", "is_second"),
    [
        ("postgresql://o:x@h:5432/ocd", False),
        ("postgresql://o:x@h/ocd", False),
        ("postgresql://o:x@h:5432/else", True),
        ("postgresql://o:x@g:5432/ocd", True),
    ],
)
def test_the_settings_say_which_databases_are_meant(conn, owner, is_second):
    settings = Settings(
        database_url="postgresql://w:y@h:5432/ocd", redis_url="redis://h", owner_database_url=owner
    )

    stack = stack_of(settings)

    assert ("OCD_OWNER_DATABASE_URL" in dict(found(conn, "second_stack", stack=stack))) is is_second
    assert "x" not in str(stack.databases.values())


def test_a_pooler_of_the_same_project_is_no_second_database():
    settings = Settings(
        database_url="postgresql://w.ref:y@aws-0-eu.pooler.supabase.com:6543/postgres",
        redis_url="redis://h",
        owner_database_url="postgresql://postgres:x@db.ref.supabase.co:5432/postgres",
    )

    assert len(set(stack_of(settings).databases.values())) == 1


def test_this_very_installation_has_one_driver():
    from ocd.database.stack import SECOND_DRIVERS

    assert stack_of(Settings()).packages & SECOND_DRIVERS == set()


def test_every_check_is_planted_by_a_test():
    planted = {name.split(":")[0] for name in PLANTED}
    elsewhere = {"index_unused", "bloat", "retention_overdue", "second_stack"}

    assert planted | elsewhere == {one.name for one in CHECKS}


def test_a_login_under_row_security_gets_no_clean_bill(db):
    make = at(db.url, user="ocd_reader", password="reader")
    with connected(make) as poor, pytest.raises(ProgrammingError) as refused:
        look(poor, now=now_of(poor), stack=ALONE)

    assert "InsufficientPrivilege" in redacted(refused.value).message


def opened(conn):
    rows = conn.execute(
        text(
            "select cause, closed_at is null as is_open, times, summary from ocd.incident order by id"
        )
    ).all()
    conn.rollback()
    return rows


def test_each_kind_opens_one_incident_and_closes_it_when_it_is_gone(
    conn, plant, start_run, keeper_for, store
):
    def ask(window):
        run = start_run("database.audit", window)
        return audit(conn, run=run, keeper=keeper_for(run), now=run.now, stack=ALONE)

    plant("grant select on public.facts to anon", "grant select on public.decision_log to anon")
    report = ask("2026-11-19")
    ask("2026-11-23")
    (beyond, drift) = opened(conn)
    plant("revoke select on public.facts, public.decision_log from anon")
    ask("2026-11-26")

    assert report.found_by_check == {"rights_beyond_facts": 2, "schema_drift": 2}
    assert (beyond.cause, beyond.is_open, beyond.times) == ("audit:rights_beyond_facts", True, 2)
    assert "and 1 more" in beyond.summary
    assert drift.cause == "audit:schema_drift"
    assert [one.is_open for one in opened(conn)] == [False, False]
    assert store.size(report.artifact)


def test_what_only_informs_opens_no_incident():
    assert {one.name for one in CHECKS if one.severity is Severity.INFO} == {
        "bloat",
        "index_unused",
    }


def test_the_command_says_it_and_exits_accordingly(shell):
    clean = shell("db", "audit").stdout
    with psycopg.connect(owner_url(shell)) as owner:
        owner.execute("grant select on public.facts to anon")

    said = shell("db", "audit", code=1).stdout
    warned = shell("db", "audit", "--json", code=1).stdout

    assert clean == f"{len(CHECKS)} checks, nothing found\n"
    assert "anon may select public.facts" in said
    assert '"check": "rights_beyond_facts"' in warned


def test_the_job_leaves_evidence_and_an_incident(shell):
    shell("db", "upgrade")
    with psycopg.connect(owner_url(shell)) as owner:
        owner.execute("alter table public.facts no force row level security")

    (run,) = shell.json("run", "database.audit")

    assert (run["state"], run["evidence"]["findings"][0]["check"]) == ("done", "row_security_off")
    assert run["evidence"]["checks"] == len(CHECKS)


def owner_url(shell):
    from ocd.core.embedded import Servers

    servers = Servers(shell.home)
    servers.attach(with_redis=False)
    return servers.postgres.url("owner")
