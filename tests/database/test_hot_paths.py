"""What people wait for is found by an index, as the role that asks, on tables with many rows.

300,000 queries and 30,000 to 90,000 rows in the other tables: `benchmarks/indexes.py` makes the same
demand at a million, where the planner chooses the same indexes.
"""

from __future__ import annotations

import pytest
from sqlalchemy import NullPool, create_engine, text

from benchmarks import access, indexes
from benchmarks.hot_paths import PATHS
from benchmarks.tables import fill
from ocd.core.db import sqlalchemy_url
from ocd.database import plans
from tests.conftest import _database

ROWS = 300_000
#: A hot path, and the index without which it would read a table whole or walk far.
LEANS_ON = {
    "decisions that took longest": "agent_approvals_resolution_idx",
    "slowest answers of an agent": "agent_queries_slow_idx",
    "drafts to judge, newest first": "agent_feedback_unjudged_idx",
    "approvals that stood open at the end of a day": "agent_approvals_unresolved_idx",
    "own queries, newest first": "agent_queries_conversation_id_idx",
    "one agent's turns in a conversation": "agent_queries_conversation_id_idx",
    "metrics of a day, queries": "agent_queries_created_at_idx",
    "queue of approvals, oldest first": "agent_approvals_pending_idx",
    "a tile's newest value": "dashboard_facts_shop_idx",
    "notes of slow statements": "log_line_slow_idx",
}

#: Another index serves a hot path as well if its plan costs at most so many times as much.
AS_WELL = 2
#: As good as dropped, also where a constraint keeps it; until the transaction is rolled back.
LOSE = text("""
    update pg_index set indisvalid = false
    where indexrelid = (select oid from pg_class where relname = :index and relkind = 'i')
""")


@pytest.fixture(scope="module")
def full(server, template):
    """A database of this module's own, filled."""
    for database in _database(server, template):
        engine = create_engine(sqlalchemy_url(database.superuser_url), poolclass=NullPool)
        fill(engine, ROWS)
        yield engine
        engine.dispose()


@pytest.fixture
def conn(full):
    with full.connect() as connection:
        yield connection


def plan_of(conn, path):
    path.begin(conn)
    return plans.explain(conn, path.statement, path.parameters)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_no_table_is_read_from_end_to_end(conn, path):
    assert plan_of(conn, path).scanned() == frozenset()


@pytest.mark.parametrize(("name", "index"), LEANS_ON.items(), ids=LEANS_ON)
def test_the_index_meant_for_it_is_used(conn, name, index):
    (path,) = [one for one in PATHS if one.name == name]

    assert index in plan_of(conn, path).indexes()


@pytest.mark.parametrize(
    ("name", "index", "table"),
    [
        ("decisions that took longest", "agent_approvals_resolution_idx", "agent_approvals"),
        (
            "approvals that stood open at the end of a day",
            "agent_approvals_unresolved_idx",
            "agent_approvals",
        ),
        ("own queries, newest first", "agent_queries_conversation_id_idx", "agent_queries"),
    ],
)
def test_without_its_index_the_table_would_be_read_whole(conn, name, index, table):
    (path,) = [one for one in PATHS if one.name == name]
    conn.execute(text(f"drop index public.{index}"))
    conn.execute(text("set local max_parallel_workers_per_gather = 0"))
    if name.startswith("own"):
        # Else the newest rows are walked through, until enough are found that are one's own.
        conn.execute(text("drop index public.agent_queries_created_at_idx"))

    assert plan_of(conn, path).scanned() == {table}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_an_index_that_is_lost_is_seen(conn, path):
    """The tests above fail without any index that a hot path takes, unless another serves as well."""
    before = plan_of(conn, path)
    conn.rollback()

    unseen = []
    for index in before.indexes():
        conn.execute(LOSE, {"index": index})
        after = plan_of(conn, path)
        conn.rollback()
        is_seen = after.scanned() or LEANS_ON.get(path.name) == index
        if not is_seen and after.cost > AS_WELL * before.cost:
            unseen.append((index, after.lines()))

    assert before.indexes()
    assert unseen == []


def test_the_report_tells_what_an_index_saves(conn):
    (path,) = [one for one in PATHS if one.name == "slowest answers of an agent"]
    after = indexes.read(conn, path)
    conn.execute(text("drop index public.agent_queries_slow_idx, public.agent_queries_latency_idx"))

    change = indexes.Change(path.name, path.role, indexes.read(conn, path), after)

    assert change.is_worth_it
    assert not indexes.Change(path.name, path.role, after, after).is_worth_it


@pytest.mark.parametrize("pair", access.PAIRS, ids=lambda pair: pair.name)
def test_the_figures_compare_reads_of_the_same_rows(conn, pair):
    figure = access.measure(conn, pair)

    assert figure.rows == (5 if pair.name.startswith("own") else 1)


def test_a_ratio_over_its_gate_is_not_held():
    figure = access.Figure("own rows", 5, 1.3, 1.0, 1.3, access.OWN_GATE)

    assert not figure.is_held


def test_a_hot_path_reads_as_its_role_and_claims(conn):
    """Row security is on in these plans: the own conversation is a condition that nobody wrote."""
    (path,) = [one for one in PATHS if one.name == "own queries, newest first"]

    path.begin(conn)
    rows = conn.execute(text(path.statement)).all()

    assert {row.conversation_id for row in rows} == {"c77"}
