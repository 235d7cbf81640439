"""A profile equals what Python counts over the same rows, tells nobody's values, and reads a table once."""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from ocd.datasets.agents import AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Pii
from ocd.datasets.mirrors import CHATWOOT_CONVERSATIONS, SHOPIFY_ORDERS
from ocd.datasets.registry import DATASETS
from ocd.quality.profile.columns import LEAST_SHARING, Kind, is_open
from ocd.quality.profile.measure import measure
from tests.factories.agents import make_query
from tests.factories.clock import NOW

SECRET = "Ottoline Brandywine"


@pytest.fixture
def latencies(conn):
    """1,000 queries: heaps of equal latencies, gaps, and 100 without one; returns those that have one."""
    rng = random.Random(5)
    values = [None] * 100 + [50] * 300 + [rng.randrange(100, 4_000) for _ in range(600)]
    for number, value in enumerate(values):
        make_query(
            conn,
            latency_ms=value,
            query=SECRET * (1 + number % 3),
            agent=("support", "data")[number % 2],
            approved=(None, True, False, True)[number % 4],
            created_at=NOW - timedelta(minutes=number),
        )
    return [value for value in values if value is not None]


def test_numbers_are_the_ones_of_the_rows(latencies, look):
    found = look(AGENT_QUERIES)["latency_ms"]

    assert (found.rows, found.nulls) == (1_000, 100)
    assert (found.stats["min"], found.stats["max"]) == (min(latencies), max(latencies))
    assert found.stats["mean"] == pytest.approx(statistics.mean(latencies))
    assert found.stats["sd"] == pytest.approx(statistics.stdev(latencies))
    assert found.stats["distinct"] == pytest.approx(len(set(latencies)), rel=0.15)


def test_quantiles_lie_where_the_rows_lie(latencies, look):
    stats = look(AGENT_QUERIES)["latency_ms"].stats
    cuts = statistics.quantiles(latencies, n=20, method="inclusive")

    for share in (25, 50, 75, 95):
        assert stats[f"p{share}"] == pytest.approx(cuts[share // 5 - 1], rel=0.1, abs=10)


def test_flags_words_instants_and_lengths(latencies, look):
    found = look(AGENT_QUERIES)

    assert found["approved"].categories == pytest.approx({"true": 2 / 3, "false": 1 / 3})
    assert found["agent"].stats["top"] == [("data", 0.5), ("support", 0.5)]
    assert found["agent"].stats["is_closed"]
    assert found["created_at"].stats["max"] == NOW.isoformat()
    assert found["created_at"].stats["min"] == (NOW - timedelta(minutes=999)).isoformat()
    length = len(SECRET)
    assert found["query"].stats["bytes_least"] == length
    assert found["query"].stats["bytes_most"] == 3 * length


def test_an_identifier_has_no_distribution(latencies, look):
    assert look(AGENT_QUERIES)["id"].distribution is None


def test_an_empty_table_and_one_that_was_never_analysed(conn, look):
    empty = look(AGENT_FEEDBACK)
    make_query(conn, latency_ms=70)
    conn.commit()

    never = measure(conn, AGENT_QUERIES, now=NOW)

    assert {one.rows for one in empty.values()} == {0}
    latency = next(one for one in never.columns if one.name == "latency_ms")
    assert dict(latency.stats) == {"min": 70, "max": 70, "mean": 70.0}
    assert latency.distribution is None


@pytest.fixture
def personal(conn):
    """Rows whose every column with personal data holds the secret, so often that it is common."""
    for number in range(5 * LEAST_SHARING):
        make_query(conn, query=SECRET, result={"who": SECRET}, conversation_id=SECRET)
        conn.execute(
            text("""
                insert into landing.chatwoot_conversations
                  (account_id, conversation_id, contact_name, assignee_name, custom_attributes)
                values (1, 77007700 + :n, :secret, :secret, jsonb_build_object('who', cast(:secret as text)))
            """),
            {"secret": SECRET, "n": number % 5 * 1_000_000 + number},
        )


@pytest.mark.usefixtures("personal")
def test_no_value_of_a_person_is_told(look):
    for dataset in (AGENT_QUERIES, CHATWOOT_CONVERSATIONS):
        said = json.dumps([dict(one.stats) for one in look(dataset).values()])
        assert not [word for word in SECRET.split() if word in said]
        assert "77007700" not in said


@pytest.mark.usefixtures("personal")
def test_the_statement_asks_for_no_value_of_a_person(db, conn):
    asked = []
    event.listen(
        db.engine, "before_cursor_execute", lambda c, k, statement, *r: asked.append(statement)
    )

    measure(conn, CHATWOOT_CONVERSATIONS, now=NOW)

    (scan,) = [one for one in asked if "FROM landing.chatwoot_conversations" in one]
    closed = [one.name for one in CHATWOOT_CONVERSATIONS.columns if one.pii is not Pii.NONE]
    assert not [name for name in closed if f"min({name})" in scan or f"max({name})" in scan]


def test_a_word_that_few_rows_share_is_not_told(conn, look):
    for number in range(100):
        make_query(conn, agent="support" if number >= LEAST_SHARING - 1 else "Ann's own agent")

    stats = look(AGENT_QUERIES)["agent"].stats

    assert [value for value, _ in stats["top"]] == ["support"]
    assert not stats["is_closed"]


def test_a_table_is_read_once(db, conn, latencies):
    conn.commit()
    reads = []
    event.listen(
        db.engine,
        "before_cursor_execute",
        lambda c, k, statement, *rest: reads.append("FROM public.agent_queries" in statement),
    )

    measure(conn, AGENT_QUERIES, now=NOW)

    assert reads.count(True) == 1


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
def test_every_table_can_be_profiled(conn, dataset):
    found = measure(conn, dataset, now=NOW)

    assert [one.name for one in found.columns] == [one.name for one in dataset.columns]


def test_only_columns_without_personal_data_are_open():
    names = {one.name for one in SHOPIFY_ORDERS.columns if is_open(one)}

    assert {"total_amount", "currency", "created_at", "is_test"} <= names
    assert not {"order_id", "name", "customer_id", "shop_domain"} & names
    assert not is_open(replace(SHOPIFY_ORDERS.columns[0], pii=Pii.ID))


def test_kinds_are_read_off_the_types_of_all_datasets(look):
    others = {
        one.type.removesuffix("[]")
        for dataset in DATASETS
        for one in dataset.columns
        if look(dataset)[one.name].kind is Kind.OTHER
    }

    assert others == {"bigint", "integer", "jsonb", "text", "uuid"}
