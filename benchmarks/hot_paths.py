"""The reads that somebody waits for, each as the role that makes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

_SQL = Path(__file__).parents[1] / "ocd"
_DAY = {"start": "2026-11-01T00:00Z", "end": "2026-11-02T00:00Z"}


@dataclass(frozen=True)
class HotPath:
    """One read: who makes it, with which claims; a name that says what for."""

    name: str
    role: str
    statement: str
    claims: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def begin(self, conn: Connection) -> None:
        """Become the role with its claims, until the transaction ends."""
        conn.execute(text(f"set local role {self.role}"))
        conn.execute(
            text("select set_config('request.jwt.claims', :claims, true)"),
            {"claims": json.dumps(dict(self.claims))},
        )


def _file(path: str) -> str:
    return (_SQL / path).read_text(encoding="utf-8")


_CONVERSATION = {"conversation_id": "c77"}

PATHS = (
    HotPath(
        "own queries, newest first",
        "authenticated",
        "select * from public.agent_queries order by created_at desc limit 50",
        _CONVERSATION,
    ),
    HotPath(
        "own feedback, newest first",
        "authenticated",
        "select * from public.agent_feedback order by created_at desc limit 50",
        _CONVERSATION,
    ),
    HotPath(
        "own approvals, newest first",
        "authenticated",
        "select * from public.agent_approvals order by created_at desc limit 50",
        _CONVERSATION,
    ),
    HotPath(
        "one agent's turns in a conversation",
        "operator_readonly",
        "select * from public.agent_queries where conversation_id = 'c77' and agent = 'ops' order by created_at desc",
    ),
    HotPath(
        "queue of approvals, oldest first",
        "operator_readonly",
        "select * from public.agent_approvals where status = 'pending' order by created_at limit 50",
    ),
    HotPath(
        "decisions that took longest",
        "operator_readonly",
        """
        select * from public.agent_approvals
        where status = 'approved' and resolved_at is not null and extract(epoch from resolved_at - created_at) > 300
        order by extract(epoch from resolved_at - created_at) desc limit 20
        """,
    ),
    HotPath(
        "slowest answers of an agent",
        "monitoring_team",
        """
        select * from public.agent_queries where agent = 'ops' and latency_ms > 200
        order by latency_ms desc, created_at desc limit 20
        """,
    ),
    HotPath(
        "slowest answers of all",
        "monitoring_team",
        "select * from public.agent_queries where latency_ms > 200 order by latency_ms desc limit 20",
    ),
    HotPath(
        "an agent's newest answers",
        "qa_team",
        "select * from public.agent_queries where agent = 'ops' order by created_at desc limit 50",
    ),
    HotPath(
        "drafts to judge, newest first",
        "annotator",
        "select * from public.agent_feedback where safe_to_send is null order by created_at desc limit 50",
    ),
    HotPath(
        "judgements of one annotator",
        "qa_team",
        "select count(*) from public.agent_feedback where annotator = 'mara'",
    ),
    HotPath(
        "drafts of a label",
        "qa_team",
        "select count(*) from public.agent_feedback where labels @> array['boundary_setting']",
    ),
    HotPath(
        "metrics of a day, queries",
        "ocd_worker",
        """
        select agent, count(*), percentile_cont(0.95) within group (order by latency_ms)
        from public.agent_queries where created_at >= :start and created_at < :end group by agent
        """,
        parameters=_DAY,
    ),
    HotPath(
        "approvals that stood open at the end of a day",
        "ocd_worker",
        """
        select count(*) from public.agent_approvals
        where created_at < :end and (resolved_at is null or resolved_at >= :end)
        """,
        parameters=_DAY,
    ),
    HotPath(
        "newest row, for freshness",
        "ocd_worker",
        "select max(created_at) from public.agent_queries",
    ),
    HotPath(
        "newest facts of a topic",
        "analytics_reader",
        """
        select * from public.facts where project = 'occ' and topic = 'topic-7'
        order by created_at desc limit 100
        """,
    ),
    HotPath(
        "newest fact of a key, own project",
        "authenticated",
        "select * from public.facts where topic = 'topic-7' and key = 'key-7' order by created_at desc limit 1",
        {"project": "occ"},
    ),
    HotPath(
        "a tile's newest value",
        "authenticated",
        """
        select value, metadata, created_at from public.dashboard_facts where fact_type = 'shopify.sales.summary'
        order by created_at desc limit 1
        """,
        {"shop_domain": "shop-7.example"},
    ),
    HotPath(
        "newest decision syncs",
        "ai_readonly",
        "select * from public.decision_sync_events limit 100",
    ),
    HotPath(
        "attempts of one decision",
        "operator_readonly",
        "select * from public.decision_sync_event_logs where decision_id = 77 order by attempt",
    ),
    HotPath(
        "newest errors",
        "monitoring_team",
        "select * from public.observability_logs where level = 'ERROR' order by created_at desc limit 100",
    ),
    HotPath(
        "log lines of the own request",
        "authenticated",
        "select * from public.observability_logs order by created_at",
        {"request_id": "r77"},
    ),
    HotPath(
        "decisions about one thing",
        "operator_readonly",
        "select * from public.decision_log where external_ref = 'chatwoot:77' order by created_at",
    ),
    HotPath(
        "runs of an agent, newest first",
        "operator_readonly",
        "select * from public.agent_run where agent_name = 'ops' order by started_at desc limit 50",
    ),
    HotPath(
        "replies that changed since the last index",
        "ai_readonly",
        "select * from public.support_curated_replies where updated_at > timestamptz '2026-11-22' order by updated_at",
    ),
    HotPath(
        "messages of a conversation",
        "ocd_worker",
        "select * from landing.chatwoot_messages where account_id = 1 and conversation_id = 77 order by created_at",
    ),
    HotPath(
        "conversations that wait for an answer",
        "ocd_worker",
        "select * from landing.chatwoot_conversations where status = 'open' order by waiting_since_at limit 50",
    ),
    HotPath(
        "orders of a shop's day",
        "ocd_worker",
        """
        select * from landing.shopify_orders
        where shop_domain = 'shop-7.example' and created_at >= :start and created_at < :end
        """,
        parameters=_DAY,
    ),
    HotPath(
        "log lines of a run",
        "ocd_worker",
        "select * from ocd.log_line where run_id = 77 order by id",
    ),
    HotPath(
        "notes of slow statements",
        "ocd_worker",
        "select fields from ocd.log_line where event = 'slow_statement' and at >= timestamptz '2026-11-16'",
    ),
)
