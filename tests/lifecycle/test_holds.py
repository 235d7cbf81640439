"""What is held is not deleted, whatever its age, until the hold is released."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ocd.core.errors import ConfigError, PolicyRefused
from ocd.database.findings import Limits, Scene, Stack
from ocd.database.overdue import overdue
from ocd.datasets.agents import AGENT_QUERIES
from ocd.datasets.mirrors import SHOPIFY_ORDERS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import holds
from ocd.ledger.holds import Held
from ocd.ledger.windows import Daily
from ocd.lifecycle import archive, rows
from ocd.lifecycle.policy import plan_purge
from ocd.lifecycle.purge import plan
from tests.factories.agents import make_query
from tests.factories.clock import NOW
from tests.lifecycle.conftest import TERMS
from tests.lifecycle.rows import add_queries

END = NOW.replace(hour=0)
OLD = END - timedelta(days=60)


@pytest.fixture
def hold(conn):
    def place(dataset, conversation=None, **which):
        facts = dataset_named(dataset)
        number = holds.place(
            conn, facts, Held(conversation, **which), reason="case 7", placed_by="mara"
        )
        conn.commit()
        return number

    return place


@pytest.fixture
def purge(prove, delete):
    prove()
    return delete


def old_query(conn, conversation, created_at=OLD):
    made = make_query(conn, conversation_id=conversation, created_at=created_at, latency_ms=20)
    conn.commit()
    return made


def left(conn):
    found = (
        conn.execute(text("select conversation_id from agent_queries order by 1")).scalars().all()
    )
    conn.rollback()
    return found


def look(conn):
    return plan(conn, AGENT_QUERIES, now=NOW, window=Daily().parse("2026-11-23"), terms=TERMS)


def test_rows_of_a_held_conversation_stay_and_the_others_go(conn, hold, purge):
    for name in ("c1", "c2", "c2", "it's", "c3"):  # rows that go before and behind them
        old_query(conn, name)
    hold("agent_queries", "c2")
    hold("agent_queries", "it's")

    report = purge()

    assert (report.rows, report.held_rows, report.holds) == (2, 3, (1, 2))
    assert left(conn) == ["c2", "c2", "it's"]


@pytest.mark.parametrize(
    ("which", "stays"),
    [
        ({"held_from": OLD}, ["c1", "c2"]),
        ({"held_until": OLD}, ["c0"]),
        ({"held_from": OLD, "held_until": OLD + timedelta(days=1)}, ["c1"]),
        ({"conversation": "c2", "held_until": OLD}, []),
        ({"conversation": "c2", "held_from": OLD}, ["c2"]),
    ],
    ids=["from", "until", "a day", "conversation before", "conversation since"],
)
def test_a_span_of_time_is_held_from_its_first_instant_to_before_its_last(
    conn, hold, purge, which, stays
):
    for days, name in enumerate(("c0", "c1", "c2")):
        old_query(conn, name, OLD + timedelta(days=days - 1))
    hold("agent_queries", **which)

    purge()

    assert left(conn) == stays


def test_rows_of_a_held_customer_stay(conn, hold, purge):
    for number, customer in enumerate(("anna", "bea", None)):
        conn.execute(
            text("""
                insert into landing.shopify_orders (shop_domain, order_id, customer_id, fetched_at)
                values ('s', :number, :customer, :at)
            """),
            {"number": str(number), "customer": customer, "at": END - timedelta(days=200)},
        )
    conn.commit()
    hold("shopify_orders", customer_id="bea")

    assert purge(SHOPIFY_ORDERS).rows == 2
    assert (
        conn.execute(text("select customer_id from landing.shopify_orders")).scalar_one() == "bea"
    )


def test_a_dry_run_counts_what_would_go_and_what_is_held(conn, hold, prove):
    old_query(conn, "c1")
    old_query(conn, "c2")
    hold("agent_queries", "c2")
    prove()

    told = look(conn)

    assert (told.rows, told.held_rows, told.holds) == (1, 1, (1,))
    assert told.summary == "1 rows of agent_queries would be deleted, 1 held"


def test_a_held_table_is_refused_whole(conn, hold, purge):
    old_query(conn, "c1")
    hold("agent_queries")

    with pytest.raises(PolicyRefused, match="legal hold covers every row"):
        purge()

    assert left(conn) == ["c1"]


def test_a_hold_counts_from_the_next_batch_on(conn, purge, db, monkeypatch):
    """Batches run; somebody places a hold while the second one's archive is read back."""
    add_queries(conn, 6000, created_at=OLD)  # conversations c0 … c49
    compare, compared = archive._compare_with_storage, []

    def compare_and_be_held(*given):
        compared.append(given)
        if len(compared) == 2:
            with db.engine.begin() as other:
                held = Held("c7")
                holds.place(other, AGENT_QUERIES, held, reason="case 8", placed_by="mara")
        compare(*given)

    monkeypatch.setattr(archive, "_compare_with_storage", compare_and_be_held)
    report = purge()

    kept = left(conn)
    batch = conn.execute(text("select rows from ocd.purge_chunk order by number")).scalars().all()
    assert set(kept) == {"c7"}
    assert len(kept) == sum(batch[2:]) // 49 > 0
    assert (report.rows, report.changed) == (6000 - len(kept), len(kept))


def test_every_statement_that_deletes_heeds_holds():
    """No list of holds is read before: the condition stands in the very statement that deletes."""
    found = plan_purge(AGENT_QUERIES, window_end=END, now=NOW)
    keys = rows.Keys(1, 9)
    for skips in (True, False):
        deletion = rows.deletion(AGENT_QUERIES, found, keys, {"id": "bigint"}, skips_locked=skips)
        assert "from ocd.legal_hold" in deletion.as_string()


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


def test_a_hold_that_the_table_cannot_tell_apart_keeps_every_row(conn, db, prove, delete):
    """It cannot be placed any more; one that is there all the same must not be overlooked."""
    with db.engine.begin() as other:
        other.execute(
            text("""
                insert into ocd.legal_hold (dataset, customer_id, reason, placed_by)
                values ('agent_queries', 'anna', 'case 9', 'mara')
            """)
        )
    old_query(conn, "c1")
    prove()

    assert (delete().rows, left(conn)) == (0, ["c1"])


@pytest.mark.parametrize(
    ("dataset", "which", "word"),
    [
        ("agent_run", {"conversation": "c1"}, "conversations"),
        ("agent_queries", {"customer_id": "anna"}, "customers"),
    ],
)
def test_what_the_table_does_not_know_cannot_be_held(hold, dataset, which, word):
    with pytest.raises(ConfigError, match=f"knows no {word}; hold it whole"):
        hold(dataset, **which)


def test_placing_a_hold_again_changes_nothing(conn, hold):
    span = {"held_from": OLD}

    assert hold("agent_queries", "c1") == hold("agent_queries", "c1")
    assert hold("agent_queries", "c1", **span) == hold("agent_queries", "c1", **span)
    assert len(holds.holds(conn)) == 2


def test_a_hold_is_released_once_and_remembered(conn, hold):
    number = hold("agent_queries", "c1")
    holds.release(conn, number, released_by="tobin")

    with pytest.raises(ConfigError, match="no open legal hold"):
        holds.release(conn, number, released_by="tobin")

    (kept,) = holds.holds(conn, with_released=True)
    assert (holds.holds(conn), kept["released_by"], kept["reason"]) == ([], "tobin", "case 7")


@pytest.mark.parametrize(
    ("held", "reason"),
    [(Held(), " "), (Held(held_from=NOW, held_until=NOW), "case")],
    ids=["no reason", "an empty span"],
)
def test_a_hold_says_why_and_covers_something(conn, held, reason):
    with pytest.raises(IntegrityError):
        holds.place(conn, AGENT_QUERIES, held, reason=reason, placed_by="mara")


def test_the_commands_place_list_and_release(shell):
    case = ("--reason", "case 7")
    placed = shell("hold", "place", "agent_queries", "--conversation", "c1", *case).stdout
    span = ("--from", "2026-01-01", "--until", "2026-04-01")
    shell("hold", "place", "shopify_orders", "--customer", "anna", *span, *case)
    everywhere = shell.json("hold", "place", "all", "--conversation", "c2", *case)
    listed = shell("hold", "list").stdout
    unknown = shell("hold", "place", "agent_querys", *case, code=2).stderr
    wrong = shell("hold", "place", "agent_run", "--conversation", "c", *case, code=2).stderr
    vague = shell("hold", "place", "all", *case, code=2).stderr
    for number in range(1, len(everywhere) + 3):
        shell("hold", "release", str(number))

    assert placed == "hold 1: conversation c1 of agent_queries is kept\n"
    assert "agent_queries  conversation c1  since" in listed
    assert "shopify_orders  customer anna from 2026-01-01 until 2026-04-01  since" in listed
    assert {one["dataset"] for one in everywhere} >= {"agent_approvals", "chatwoot_messages"}
    assert "did you mean 'agent_queries'" in unknown
    assert "hold it whole" in wrong
    assert "name a conversation or a customer" in vague
    assert shell("hold", "list").stdout == "nothing is held\n"
