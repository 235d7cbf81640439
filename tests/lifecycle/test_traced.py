"""A subject's rows are found in COPY text exactly where the server finds them in the table."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ocd.datasets.agent_runs import AGENT_QC
from ocd.datasets.agents import AGENT_QUERIES
from ocd.datasets.dashboard import FACTS
from ocd.datasets.mirrors import CHATWOOT_CONVERSATIONS, SHOPIFY_ORDER_LINES
from ocd.datasets.subjects import Kind, Subject
from ocd.lifecycle import copying, traced
from ocd.lifecycle.traced import Sieve

#: Ids as nobody should make them, and a few as everybody does.
IDS = st.one_of(
    st.sampled_from(["1", "12", "c1", "a\tb", "a\\b", "\\N", "new\nline", "ü", "'", '"', "%s"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
)


def copied(conn, table, columns):
    cursor = copying.cursor_of(conn)
    with cursor.copy(f"copy (select {', '.join(columns)} from {table}) to stdout") as copy:
        return b"".join(copy)


@given(
    rows=st.lists(IDS, max_size=12),
    wanted=st.lists(IDS, min_size=1, max_size=3),
    size=st.integers(1, 50),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_stream_and_table_agree_about_plain_columns(conn, rows, wanted, size):
    subjects = [Subject(Kind.CONVERSATION, one) for one in wanted]
    for one in rows:
        conn.execute(
            text(
                "insert into agent_queries (query, result, conversation_id, agent) values (:id, '{}', :id, 'a')"
            ),
            {"id": one},
        )
    columns = [one.name for one in AGENT_QUERIES.columns]
    stream = copied(conn, "agent_queries", columns)
    sieve = Sieve(AGENT_QUERIES, columns, traced.known_among(subjects), traced.needles_of(subjects))

    blocks = [stream[start : start + size] for start in range(0, len(stream), size)]
    left = b"".join(sieve(blocks))
    condition, values = traced.condition(AGENT_QUERIES, subjects)
    cursor = copying.cursor_of(conn)
    cursor.execute(copying.sql.SQL("delete from agent_queries where {}").format(condition), values)
    deleted = cursor.rowcount
    after = copied(conn, "agent_queries", columns)
    conn.rollback()

    assert left == after
    assert (sieve.removed, sieve.kept) == (deleted, len(rows) - deleted)


@pytest.mark.parametrize(
    ("payload", "is_theirs"),
    [
        ({"conversation_id": "c1"}, True),
        ({"conversation_id": 17}, True),
        ({"conversation_id": "17"}, True),
        ({"conversation_id": "c12"}, False),
        ({"conversation_id": ["c1"]}, False),
        ({"conversation_id": None}, False),
        ({"deep": {"conversation_id": "c1"}}, False),
        ({"other": "c1"}, False),
        (["conversation_id", "c1"], False),
        ("conversation_id", False),
        ({"text": 'a \\ \n \t "conversation_id"', "conversation_id": "c1"}, True),
    ],
    ids=str,
)
def test_stream_and_table_agree_about_payloads(conn, payload, is_theirs):
    subjects = [Subject(Kind.CONVERSATION, "c1"), Subject(Kind.CONVERSATION, "17")]
    conn.execute(
        text("insert into facts (topic, key, value) values ('t', 'k', cast(:p as jsonb))"),
        {"p": json.dumps(payload)},
    )
    columns = [one.name for one in FACTS.columns]
    sieve = Sieve(FACTS, columns, traced.known_among(subjects))
    list(sieve([copied(conn, "facts", columns)]))
    condition, values = traced.condition(FACTS, subjects)
    cursor = copying.cursor_of(conn)
    cursor.execute(
        copying.sql.SQL("select count(*) from facts where {}").format(condition),
        values,
    )

    assert (sieve.removed, cursor.fetchone()[0]) == (is_theirs, is_theirs)


@pytest.mark.parametrize(
    "wanted", ["1042", "01042", "²", "\u0661", "-5", "99999999999999999999", "0"]
)
def test_stream_and_table_agree_about_numbers(conn, wanted):
    conn.execute(
        text(
            "insert into landing.chatwoot_conversations (account_id, conversation_id) values (1, 1042), (1, 0), (1, 1)"
        )
    )
    subjects = [Subject(Kind.CONVERSATION, wanted)]
    columns = [one.name for one in CHATWOOT_CONVERSATIONS.columns]
    sieve = Sieve(CHATWOOT_CONVERSATIONS, columns, traced.known_among(subjects))
    list(sieve([copied(conn, "landing.chatwoot_conversations", columns)]))
    condition, values = traced.condition(CHATWOOT_CONVERSATIONS, subjects)
    cursor = copying.cursor_of(conn)
    query = copying.sql.SQL("select count(*) from landing.chatwoot_conversations where {}")
    cursor.execute(query.format(condition), values)

    assert cursor.fetchone()[0] == sieve.removed == (wanted in {"1042", "0"})


@pytest.mark.parametrize(
    ("dataset", "column"),
    [(AGENT_QUERIES, "conversation_id"), (AGENT_QC, "run_id"), (SHOPIFY_ORDER_LINES, "order_id")],
    ids=["text", "uuid", "with a prefix"],
)
def test_a_persons_rows_are_found_by_index(conn, dataset, column):
    """One person's rows are few: reading a whole table for them, batch after batch, takes hours."""
    condition, values = traced.condition(dataset, [])
    # Never worth it on an empty table.
    conn.execute(text("set local enable_seqscan = off"))
    query = copying.sql.SQL("explain select from {} where {}").format(
        copying.table_of(dataset), condition
    )

    plan = [row[0] for row in copying.cursor_of(conn).execute(query, values)]

    assert any(f"Index Cond: ({column} = ANY" in line for line in plan), plan


def test_an_id_never_stands_in_the_statement(conn):
    condition, _ = traced.condition(AGENT_QUERIES, [Subject(Kind.CONVERSATION, "zebra")])

    assert "zebra" not in condition.as_string(copying.cursor_of(conn))


def test_memory_does_not_grow_with_the_stream():
    row = b"1\tq\t{}\tc1\ta\t\\N\tf\t\\N\t2026-01-01\t2026-01-01\n"
    columns = [one.name for one in AGENT_QUERIES.columns]
    sieve = Sieve(AGENT_QUERIES, columns, lambda kind, found: False)

    sizes = [len(block) for block in sieve(row * 500 for _ in range(200))]

    assert max(sizes) <= len(row) * 501
    assert sieve.kept == 100_000
