"""What is held is not deleted, whatever its age, until the hold is released."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ocd.core.errors import ConfigError, PolicyRefused
from ocd.database.findings import Limits, Scene, Stack
from ocd.database.overdue import overdue
from ocd.datasets.agent_runs import AGENT_RUN
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import holds
from ocd.ledger.holds import NOTHING, Held
from ocd.ledger.windows import Daily
from ocd.lifecycle import purge as purges
from ocd.lifecycle.policy import plan_purge
from tests.factories.agents import make_query
from tests.factories.clock import NOW

END = NOW.replace(hour=0)
OLD = END - timedelta(days=60)
TRUST = timedelta(hours=26)


@pytest.fixture
def hold(conn):
    def place(dataset, conversation=None):
        number = holds.place(conn, dataset, conversation, reason="case 7", placed_by="mara")
        conn.commit()
        return number

    return place


@pytest.fixture
def purge(conn, store, keeper_for, start_run, prove):
    def deed(batch_rows=500, run=None):
        run = run or start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
        return purges.purge(
            conn,
            AGENT_QUERIES,
            run=run,
            store=store,
            keeper=keeper_for(run),
            now=run.now,
            trust=TRUST,
            batch_rows=batch_rows,
        )

    prove()
    return deed


def old_query(conn, conversation):
    made = make_query(conn, conversation_id=conversation, created_at=OLD, latency_ms=20)
    conn.commit()
    return made


def left(conn):
    found = (
        conn.execute(text("select conversation_id from agent_queries order by 1")).scalars().all()
    )
    conn.rollback()
    return found


def test_rows_of_a_held_conversation_stay_and_the_others_go(conn, hold, purge):
    for name in ("c1", "c2", "c2", "it's"):
        old_query(conn, name)
    hold("agent_queries", "c2")
    hold("agent_queries", "it's")

    report = purge()

    assert report.rows == 1
    assert left(conn) == ["c2", "c2", "it's"]


def test_a_dry_run_counts_what_would_go(conn, hold, prove):
    old_query(conn, "c1")
    old_query(conn, "c2")
    hold("agent_queries", "c2")
    prove()

    plan = purges.plan(
        conn, AGENT_QUERIES, now=NOW, window=Daily().parse("2026-11-23"), trust=TRUST
    )

    assert plan.rows == 1


def test_a_held_table_is_refused_whole(conn, hold, purge):
    old_query(conn, "c1")
    hold("agent_queries")

    with pytest.raises(PolicyRefused, match="legal hold covers every row"):
        purge()

    assert left(conn) == ["c1"]


def test_a_hold_that_comes_after_the_plan_stops_the_purge(conn, purge, start_run, db, monkeypatch):
    """The plan is made, then somebody else places a hold: the next batch sees it."""
    for _ in range(3):
        old_query(conn, "c1")
    run = start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
    looked = purges.policy.require_no_hold

    def look_and_then_be_held(dataset, held):
        looked(dataset, held)
        with db.engine.begin() as other:
            holds.place(other, "agent_queries", "c1", reason="case 8", placed_by="mara")

    monkeypatch.setattr(purges.policy, "require_no_hold", look_and_then_be_held)

    with pytest.raises(PolicyRefused, match="placed meanwhile"):
        purge(run=run)

    assert left(conn) == ["c1", "c1", "c1"]


def test_a_released_hold_lets_rows_go(conn, hold, purge):
    old_query(conn, "c1")
    number = hold("agent_queries", "c1")
    holds.release(conn, number, released_by="tobin")
    conn.commit()

    assert purge().rows == 1


def test_a_hold_of_another_table_does_not_matter(conn, hold, purge):
    old_query(conn, "c1")
    hold("agent_feedback", "c1")

    assert purge().rows == 1


def test_held_rows_are_not_overdue(conn, hold):
    old_query(conn, "c1")
    old_query(conn, "c2")
    scene = Scene(conn, NOW, Limits(), Stack({}, frozenset()))
    before = dict(overdue(scene))
    hold("agent_queries", "c1")
    some = dict(overdue(scene))
    hold("agent_queries")

    assert before["public.agent_queries"].startswith("2 rows")
    assert some["public.agent_queries"].startswith("1 rows")
    assert dict(overdue(scene)) == {}


def test_a_table_without_conversations_is_held_whole():
    """A hold that could not be heeded row by row must not be overlooked."""
    with pytest.raises(PolicyRefused):
        plan_purge(AGENT_RUN, window_end=END, now=NOW, held=Held(conversations=("c1",)))


def test_the_fingerprint_says_what_is_held():
    free = plan_purge(AGENT_QUERIES, window_end=END, now=NOW, held=NOTHING)
    held = plan_purge(AGENT_QUERIES, window_end=END, now=NOW, held=Held(conversations=("c1",)))

    assert free.sha256 != held.sha256
    assert free.sha256 == plan_purge(AGENT_QUERIES, window_end=END, now=NOW).sha256


def test_placing_a_hold_again_changes_nothing(conn, hold):
    assert hold("agent_queries", "c1") == hold("agent_queries", "c1")
    assert len(holds.holds(conn)) == 1


def test_a_hold_is_released_once_and_remembered(conn, hold):
    number = hold("agent_queries", "c1")
    holds.release(conn, number, released_by="tobin")

    with pytest.raises(ConfigError, match="no open legal hold"):
        holds.release(conn, number, released_by="tobin")

    (kept,) = holds.holds(conn, with_released=True)
    assert (holds.holds(conn), kept["released_by"], kept["reason"]) == ([], "tobin", "case 7")


def test_a_hold_says_why(conn):
    with pytest.raises(IntegrityError):
        holds.place(conn, "agent_queries", None, reason=" ", placed_by="mara")


def test_the_commands_place_list_and_release(shell):
    placed = shell(
        "hold", "place", "agent_queries", "--conversation", "c1", "--reason", "case 7"
    ).stdout
    listed = shell("hold", "list").stdout
    unknown = shell("hold", "place", "agent_querys", "--reason", "x", code=2).stderr
    wrong = shell(
        "hold", "place", "agent_run", "--conversation", "c", "--reason", "x", code=2
    ).stderr
    shell("hold", "release", "1")

    assert placed == "hold 1: conversation c1 in agent_queries is kept\n"
    assert "agent_queries  c1  since" in listed
    assert "did you mean 'agent_queries'" in unknown
    assert "hold it whole" in wrong
    assert shell("hold", "list").stdout == "nothing is held\n"
