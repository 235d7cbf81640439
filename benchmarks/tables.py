"""A throw-away database whose tables are full: invented rows, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url

#: Rows per row of `agent_queries`, the largest table; a table that is not named has a tenth.
SHARES = {"public.agent_queries": 1.0, "public.agent_feedback": 0.3}
OTHERS = 0.1

# `g` is the number of the row, `at` its instant: evenly over the 200 days before 2026-11-23.
_FILL = {
    "public.agent_queries": (
        "query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at, updated_at",
        (
            "'Which part fits number ' || g, jsonb_build_object('answer', 'part ' || g), 'c' || g / 5,"
            "(array['data', 'engineer', 'support', 'marketing', 'ai', 'qa', 'ops'])[1 + g % 7],"
            "(array[true, false, null])[1 + g % 3], g % 7 = 0, (40 + 400 * power(hashint8(g) % 1000 / 1000.0, 4))::int, at, at"
        ),
    ),
    # One in two hundred waits for a judge.
    "public.agent_feedback": (
        "conversation_id, input_text, model_draft, safe_to_send, labels, annotator, created_at, updated_at",
        (
            "'c' || g / 5, 'in ' || g, 'out ' || g, case when g % 200 > 0 then g % 10 > 0 end,"
            "array[case when g % 300 = 0 then 'boundary_setting' else 'helpful' end],"
            "case when g % 97 = 0 then 'mara' else 'annotator-' || g % 20 end, at, at"
        ),
    ),
    # One in a hundred is open.
    "public.agent_approvals": (
        "conversation_id, serialized, status, agent, created_at, updated_at, resolved_at",
        (
            "'c' || g / 5, jsonb_build_object('n', g),"
            "case when g % 100 = 0 then 'pending' else (array['approved', 'rejected', 'expired'])[1 + g % 3] end,"
            "'ops', at, at, case when g % 100 > 0 then at + interval '1 second' * (hashint8(g) & 2047) end"
        ),
    ),
    "public.facts": (
        "project, topic, key, value, created_at",
        "'occ', 'topic-' || abs(hashint8(g) % 500), 'key-' || abs(hashint8(g) % 1000), to_jsonb(g), at",
    ),
    "public.dashboard_facts": (
        "shop_domain, fact_type, value, created_at, updated_at",
        (
            "'shop-' || g % 50 || '.example', (array['shopify.sales.summary', 'ga.sessions.anomalies'])[1 + g / 50 % 2],"
            "to_jsonb(g), at, at"
        ),
    ),
    "public.decision_sync_event_logs": (
        "decision_id, status, raw_status, duration_ms, created_at",
        "g / 2, 'success', 'ok', g % 900, at",
    ),
    "public.observability_logs": (
        "level, message, request_id, created_at",
        "case when g % 500 = 0 then 'ERROR' else 'INFO' end, 'message ' || g, 'r' || g / 10, at",
    ),
    "public.decision_log": (
        "scope, actor, action, external_ref, created_at",
        "'ops', 'a', 'b', 'chatwoot:' || g / 3, at",
    ),
    "public.agent_run": (
        "run_id, agent_name, started_at, ended_at, resolution",
        "gen_random_uuid(), (array['data', 'ops', 'ai'])[1 + g % 3], at, at, 'resolved'",
    ),
    "public.support_curated_replies": (
        "message_body, approver, approved_at, created_at, updated_at",
        "'reply ' || g, 'mara', at, at, at",
    ),
    "landing.chatwoot_messages": (
        "account_id, message_id, conversation_id, content, created_at",
        "1, g, g / 8, 'content ' || g, at",
    ),
    "landing.chatwoot_conversations": (
        "account_id, conversation_id, status, created_at, waiting_since_at",
        "1, g, case when g % 100 = 0 then 'open' else 'resolved' end, at, at",
    ),
    "landing.shopify_orders": (
        "shop_domain, order_id, total_amount, created_at",
        "'shop-' || g % 50 || '.example', 'gid://' || g, g % 300, at",
    ),
    "ocd.log_line": (
        "run_id, fence, at, level, event",
        "g / 20, 1, at, 'info', 'event'",
    ),
}


@contextmanager
def filled(queries: int, *, revision: str = "head") -> Iterator[Engine]:
    """Yield an engine of the superuser of a server that holds the filled tables, at a revision."""
    with scratch_postgres() as url:
        migrate.upgrade(url, revision)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        fill(engine, queries)
        yield engine
        engine.dispose()


def fill(engine: Engine, queries: int) -> dict[str, int]:
    """Fill and analyze every table of a hot path; returns rows per table.

    `agent_queries` gets so many, the others their share. Triggers are left out, so it takes a superuser.
    """
    rows = {table: int(queries * SHARES.get(table, OTHERS)) for table in _FILL}
    with engine.begin() as conn:
        conn.execute(text("set local session_replication_role = replica"))
        for table, count in rows.items():
            _fill_table(conn, table, count)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"vacuum (analyze) {', '.join(rows)}"))
    return rows


def _fill_table(conn: Connection, table: str, rows: int) -> None:
    columns, values = _FILL[table]
    conn.execute(
        text(
            f"insert into {table} ({columns}) select {values} from "
            "(select g, timestamptz '2026-11-23' - interval '200 days' * (1 - g / cast(:rows as numeric)) as at"
            " from generate_series(1, :rows) g) row"
        ),
        {"rows": rows},
    )
