"""Rows of the agent tables, many at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


def add_queries(
    conn: Connection, count: int, *, created_at: datetime, latency_ms: int | None = 20
) -> None:
    """Insert `count` questions of one instant, with text that COPY has to escape. Commits."""
    conn.execute(
        text(r"""
            insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at)
            select E'where is\tmy order?\nnumber \\ ' || i, jsonb_build_object('answer', repeat('x', 40), 'n', i),
                   'c' || i % 50, 'support', :latency_ms, :created_at
            from generate_series(1, :count) i
        """),
        {"count": count, "latency_ms": latency_ms, "created_at": created_at},
    )
    conn.commit()


def add_feedback(conn: Connection, *, created_at: datetime, safe_to_send: bool | None) -> int:
    """Insert one judged draft and return its id. Commits."""
    return _add(
        conn,
        """
        insert into agent_feedback (conversation_id, input_text, model_draft, safe_to_send, created_at)
        values ('c1', 'hello', 'dear customer', :safe_to_send, :created_at) returning id
        """,
        {"safe_to_send": safe_to_send, "created_at": created_at},
    )


def add_approval(
    conn: Connection, *, created_at: datetime, status: str, resolved_at: datetime | None
) -> int:
    """Insert one approval and return its id. Commits."""
    return _add(
        conn,
        """
        insert into agent_approvals (conversation_id, serialized, created_at, status, resolved_at)
        values ('c1', '{}', :created_at, :status, :resolved_at) returning id
        """,
        {"created_at": created_at, "status": status, "resolved_at": resolved_at},
    )


def add_query(conn: Connection, *, created_at: datetime, latency_ms: int | None) -> int:
    """Insert one question and return its id. Commits."""
    return _add(
        conn,
        """
        insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at)
        values ('q', '{}', 'c1', 'support', :latency_ms, :created_at) returning id
        """,
        {"latency_ms": latency_ms, "created_at": created_at},
    )


def ids(conn: Connection, table: str) -> set[int]:
    """Return the ids that a table holds."""
    found = set(conn.execute(text(f"select id from {table}")).scalars())
    conn.rollback()
    return found


def _add(conn: Connection, query: str, values: dict[str, Any]) -> int:
    new: int = conn.execute(text(query), values).scalar_one()
    conn.commit()
    return new
