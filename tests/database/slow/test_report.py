"""A slow statement is explained, an index is tried on a copy, and the live database stays as it was."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from benchmarks.tables import fill
from ocd.core import statements
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError
from ocd.database import catalog
from ocd.database.plans import Plan
from ocd.database.slow import find
from ocd.database.slow.candidates import candidates
from ocd.database.slow.prepared import prepared
from ocd.database.slow.report import Question, report
from ocd.database.slow.source import Record
from ocd.ledger import claims, enqueue, loglines
from ocd.ledger.windows import Daily
from tests.conftest import _database
from tests.database.slow.test_sources import LONG_AGO

ROWS = 30_000
BY_QUERY = (
    "select id, conversation_id from public.agent_queries where query = 'Which part fits number 77'"
)
LONGEST = """
select * from public.decision_sync_event_logs where attempt = 1 and raw_status = 'ok'
order by duration_ms desc limit 5
"""
COUNTED = "select count(*) from public.agent_queries"
INDEXED = "select * from public.agent_queries where conversation_id = 'c77'"
VALUES = ("Which part fits", "number 77", "'c77'", "'ok'")


class Given:
    """A source that says what it is told."""

    name = "given"
    known_since = None

    def __init__(self, *records):
        self._records = records

    def read(self, *, since, slower_than_ms):
        return self._records


def given(*texts, role=None):
    return Given(*(Record(one, role, 1, 500.0, 500.0) for one in texts))


def ask(conn, source, *, top=10, max_rows=ROWS):
    return report(conn, source, Question(LONG_AGO, 0, top, max_rows))


@pytest.fixture(scope="module")
def full(server, template):
    """A database of this module's own, filled."""
    for database in _database(server, template):
        owner = create_engine(sqlalchemy_url(database.superuser_url), poolclass=NullPool)
        fill(owner, ROWS)
        owner.dispose()
        yield database


@contextmanager
def noting(engine):
    """Note every statement of the body with a run, as a job's are."""
    order = enqueue.Order("test.job", Daily().parse("2026-11-23"), "short", params={}, subject={})
    with engine.begin() as conn:
        run_id = enqueue.add(conn, order, retry_ended=True, force=True).run_id
    run = claims.claim(engine, run_id, job="test.job", worker="test", lease_s=30)
    watched = create_engine(engine.url, poolclass=NullPool)
    statements.watch(watched)
    with loglines.kept(engine, run.id, run.fence):
        yield watched
    watched.dispose()


def test_a_planted_statement_is_found_explained_and_helped(full, monkeypatch):
    monkeypatch.setattr(statements, "SLOW_S", 0)
    with noting(full.engine) as watched, watched.connect() as conn:
        for number in range(3):
            conn.execute(text(BY_QUERY.replace("77", str(number))))
        conn.execute(text(COUNTED))

    with full.engine.connect() as conn:
        found = {one.statement: one for one in ask(conn, find.source(conn), top=50).statements}

    helped = found["select id, conversation_id from public.agent_queries where query = $1"]
    assert helped.calls == 3
    assert "Seq Scan on agent_queries" in helped.plan[0]
    assert helped.proposal.index == "create index on public.agent_queries (query)"
    assert helped.proposal.rows == ROWS
    assert helped.proposal.cost_after * 20 < helped.proposal.cost_before
    assert helped.proposal.ms_after < helped.proposal.ms_before
    assert helped.proposal.index_bytes > 0
    assert found[COUNTED].remark == "its plan leaves no index to try"


@pytest.fixture
def conn(full):
    with full.engine.connect() as connection:
        yield connection


def test_columns_that_are_compared_come_before_those_that_sort(conn):
    (found,) = ask(conn, given(LONGEST)).statements

    assert found.proposal.index == (
        "create index on public.decision_sync_event_logs (attempt, raw_status, duration_ms desc)"
    )
    assert found.proposal.ms_after is not None


def test_what_an_index_serves_already_is_left_alone(conn):
    (found,) = ask(conn, given(INDEXED)).statements

    assert (found.proposal, found.remark) == (None, "its plan leaves no index to try")
    assert "agent_queries_conversation_id_idx" in "".join(found.plan)


def test_no_index_is_proposed_where_none_helps(conn):
    same_everywhere = "select * from public.decision_sync_event_logs where raw_status = 'ok'"

    (found,) = ask(conn, given(same_everywhere)).statements

    assert (found.proposal, found.remark) == (None, "no index that was tried helps")


@pytest.mark.parametrize(
    "statement",
    [
        "select * from public.agent_queries where not human_edited",
        "select * from public.agent_queries where latency_ms >= 0 or query = 'x'",
        "select agent, avg(latency_ms) from public.agent_queries group by agent",
        "select * from public.agent_queries where upper(query) = 'X'",
    ],
    ids=["most rows", "an or", "all rows", "an expression"],
)
def test_no_index_is_tried_where_the_plan_names_no_column(conn, statement):
    (found,) = ask(conn, given(statement)).statements

    assert found.plan
    assert (found.proposal, found.remark) == (None, "its plan leaves no index to try")


def test_rows_that_an_index_finds_only_to_throw_them_away_are_seen(conn):
    late = "select id from public.agent_queries where agent = 'ops' and updated_at >= '2026-11-20'"

    (found,) = ask(conn, given(late)).statements

    assert "agent_queries_agent_created_at_idx" in "".join(found.plan)
    assert found.proposal.index == "create index on public.agent_queries (agent, updated_at)"


def test_a_statement_is_tried_as_the_role_that_sent_it(conn):
    """Under its policy an own conversation is found by an index, though nobody asked for one."""
    own = "select * from public.agent_queries where query = 'x'"

    (as_itself,) = ask(conn, given(own)).statements
    (as_role,) = ask(conn, given(own, role="authenticated")).statements

    assert as_itself.proposal.index == "create index on public.agent_queries (query)"
    assert as_role.proposal is None


def test_no_value_stands_in_the_report(conn):
    found = ask(conn, given(BY_QUERY, LONGEST, INDEXED, "select 'unseen', id from public.agent_qc"))

    assert not any(value in str(found) for value in (*VALUES, "unseen"))


def test_the_live_database_is_only_read(conn):
    before = catalog.lines(conn)

    ask(conn, given(BY_QUERY, "delete from public.agent_queries where agent = 'ops'"))

    assert catalog.lines(conn) == before
    assert conn.execute(text(COUNTED)).scalar_one() == ROWS


@pytest.mark.parametrize(
    ("statement", "remark"),
    [
        ("select 1; drop table public.agent_qc", "not one statement that has a plan"),
        ("vacuum public.agent_qc", "not one statement that has a plan"),
        ("select * from public.gone", "cannot be explained here: UndefinedTable"),
        ("select a, from public.agent_qc where", "cannot be explained here: SyntaxError"),
    ],
)
def test_what_cannot_be_explained_says_why_and_the_next_is_looked_at(conn, statement, remark):
    found = ask(conn, given(statement, INDEXED)).statements

    assert [one.remark for one in found] == [remark, "its plan leaves no index to try"]


def test_a_table_that_is_not_ours_is_not_copied(conn, full):
    with psycopg.connect(full.superuser_url, autocommit=True) as owner:
        owner.execute("create table public.theirs as select g as n from generate_series(1, 5000) g")
        owner.execute("grant select on public.theirs to ocd_worker")

    (found,) = ask(conn, given("select * from public.theirs where n = 1")).statements

    assert (found.proposal, found.remark) == (None, "public.theirs is no table of ours")


def test_without_rows_to_copy_no_index_is_tried(conn):
    (found,) = ask(conn, given(BY_QUERY), max_rows=0).statements

    assert (found.proposal, found.remark) == (None, "")
    assert found.plan


def test_a_second_command_is_never_carried_out(conn):
    """The check for a semicolon is one lock; the protocol that takes one command only is another."""
    with pytest.raises(ConfigError, match="SyntaxError"), prepared(conn, "select 1"):
        driver = conn.connection.driver_connection
        psycopg.RawCursor(driver).execute(b"select 1; drop table public.agent_qc", binary=True)

    assert conn.execute(text("select to_regclass('public.agent_qc')")).scalar_one()


SCAN = {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "t", "Alias": "x"}


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("(x.a = $1)", [("a",)]),
        ("((x.a = $1) AND (x.b >= $2))", [("a",), ("a", "b")]),
        ("((x.a)::text = $1)", [("a",)]),
        ("(x.a = ANY ($1))", [("a",)]),
        ("((x.a IS NULL) AND (x.b < $1) AND (x.c > $2))", [("a",), ("a", "b"), ("a", "c")]),
        ("((x.a = $1) OR (x.b = $2))", []),
        ("(lower(x.a) = $1)", []),
        ("(x.a <> $1)", []),
        ("(NOT x.a)", []),
    ],
)
def test_an_index_is_read_off_a_condition(condition, columns):
    found = candidates(Plan(SCAN | {"Filter": condition}))

    assert [one.columns for one in found] == columns


def test_the_order_of_a_join_is_no_reason_for_an_index():
    join = {"Node Type": "Hash Join", "Plans": [SCAN | {"Filter": "(x.a = $1)"}]}
    plan = Plan({"Node Type": "Sort", "Sort Key": ["x.b DESC"], "Plans": [join]})

    assert [one.columns for one in candidates(plan)] == [("a",)]
