"""Makers of valid agent rows: name only the columns that the test is about.

Each inserts one row and returns its id; the caller commits. `created_at` is a day before NOW.
jsonb columns take what `json.dumps` takes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
)

from tests.factories.clock import NOW

#: When a row was made, unless the test says otherwise.
YESTERDAY = NOW - timedelta(days=1)

_metadata = MetaData(schema="public")


def _table(name: str, *columns: Column[Any]) -> Table:
    own = (
        Column("id", BigInteger, primary_key=True),
        Column("conversation_id", Text),
        Column("created_at", TIMESTAMP(timezone=True)),
        Column("updated_at", TIMESTAMP(timezone=True)),
    )
    return Table(name, _metadata, *own, *columns)


# `none_as_null`: None is SQL NULL, never the JSON value null.
_JSON = JSON(none_as_null=True)
_APPROVALS = _table(
    "agent_approvals",
    Column("serialized", _JSON),
    Column("last_interruptions", _JSON),
    Column("approved_by", Text),
    Column("status", Text),
    Column("resolved_at", TIMESTAMP(timezone=True)),
    Column("agent", Text),
)
_FEEDBACK = _table(
    "agent_feedback",
    Column("input_text", Text),
    Column("model_draft", Text),
    Column("safe_to_send", Boolean),
    Column("labels", ARRAY(Text)),
    Column("rubric", _JSON),
    Column("annotator", Text),
    Column("notes", Text),
    Column("meta", _JSON),
)
_QUERIES = _table(
    "agent_queries",
    Column("query", Text),
    Column("result", _JSON),
    Column("agent", Text),
    Column("approved", Boolean),
    Column("human_edited", Boolean),
    Column("latency_ms", Integer),
)


def make_approval(conn: Connection, **columns: Any) -> int:
    """Insert an approval: pending; one with another status is decided an hour after it was made."""
    created_at = columns.get("created_at", YESTERDAY)
    row = {
        "serialized": {"intent": "refund", "amount_cents": 4200},
        "last_interruptions": [{"type": "requires_human"}],
        "status": "pending",
        "agent": "support",
    }
    status = columns.get("status", "pending")
    if status != "pending":
        row["resolved_at"] = created_at + timedelta(hours=1)
    if status in {"approved", "rejected"}:
        row["approved_by"] = "operator-red"
    return _insert(conn, _APPROVALS, row, columns)


def make_feedback(conn: Connection, **columns: Any) -> int:
    """Insert a draft that nobody has judged yet."""
    row = {
        "input_text": "Which AN size fits a 3/8 hardline?",
        "model_draft": "A -6AN fitting matches 3/8 inch hardline.",
        "safe_to_send": None,
        "labels": [],
        "rubric": {},
        "meta": {"confidence": 0.9, "model_version": "test-1"},
    }
    return _insert(conn, _FEEDBACK, row, columns)


def make_query(conn: Connection, **columns: Any) -> int:
    """Insert a question of the support agent: answered fast, not reviewed yet."""
    row = {
        "query": "Where is my order?",
        "result": {"answer": "It left the warehouse yesterday."},
        "agent": "support",
        "approved": None,
        "human_edited": False,
        "latency_ms": 80,
    }
    return _insert(conn, _QUERIES, row, columns)


def _insert(conn: Connection, table: Table, row: dict[str, Any], columns: dict[str, Any]) -> int:
    created_at = columns.get("created_at", YESTERDAY)
    common = {
        "conversation_id": "conversation-1",
        "created_at": created_at,
        "updated_at": created_at,
    }
    statement = insert(table).values(common | row | columns).returning(table.c.id)
    new: int = conn.execute(statement).scalar_one()
    return new
