"""Facts about decisions, how they reached the outside, and what programs said meanwhile."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import ADD, KEEPERS, READ
from ocd.datasets.columns import CREATED_AT, ID
from ocd.datasets.facts import (
    Access,
    Column,
    Dataset,
    Feed,
    Pii,
    Retention,
    RetentionRule,
    Scope,
)

DECISION_WINDOW = timedelta(days=365)
LOG_WINDOW = timedelta(days=90)
_EMPTY = "'{}'::jsonb"

DECISION_SYNC_EVENT_LOGS = Dataset(
    name="decision_sync_event_logs",
    table="public.decision_sync_event_logs",
    description="Every attempt to carry a decision to the outside; the view decision_sync_events shows it.",
    owner="engineering",
    grain="one row per attempt",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("decision_id", "bigint", "Decision that was carried out.", nullable=False),
        Column(
            "status", "text", "success, failure or unknown; set from raw_status.", nullable=False
        ),
        Column("raw_status", "text", "Status in the sender's own word.", nullable=False),
        Column("duration_ms", "numeric(10,2)", "How long the attempt took, milliseconds."),
        Column("error_code", "text", "Error in the sender's own word."),
        Column("attempt", "integer", "Which attempt it was, from 1.", nullable=False, default="1"),
        Column("scope", "text", "ops, cx, analytics or build.", nullable=False, default="'ops'"),
        Column("notes", "text", "Free remarks.", Pii.TEXT),
        Column("payload", "jsonb", "What was sent.", Pii.TEXT, nullable=False, default=_EMPTY),
        CREATED_AT,
    ),
    retention=Retention((RetentionRule("all", None, "created_at", DECISION_WINDOW),)),
    is_backed_up=True,
    access=(
        *KEEPERS,
        Access("ai_readonly", READ),
        Access("ocd_reader", READ),
        Access("operator_readonly", READ),
    ),
    feed=Feed(("decision_log",), fresh_within=timedelta(hours=24)),
)

DECISION_LOG = Dataset(
    name="decision_log",
    table="public.decision_log",
    description="What people and agents decided, and why; never changed afterwards.",
    owner="operations",
    grain="one row per decision",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("scope", "text", "build or ops.", nullable=False),
        Column("actor", "text", "Who decided.", Pii.DIRECT, nullable=False),
        Column("action", "text", "What was decided.", Pii.TEXT, nullable=False),
        Column("rationale", "text", "Why.", Pii.TEXT),
        Column("evidence_url", "text", "Where the proof lies."),
        Column("shop_domain", "text", "Shop that it is about.", Pii.ID),
        Column("external_ref", "text", "What it is about: chatwoot:ID or shopify:SKU.", Pii.ID),
        Column("source_id", "text", "Id in the file that it was imported from."),
        Column(
            "payload", "jsonb", "Details of the decision.", Pii.TEXT, nullable=False, default=_EMPTY
        ),
        CREATED_AT,
    ),
    retention=Retention((RetentionRule("all", None, "created_at", DECISION_WINDOW),)),
    is_backed_up=True,
    access=(
        *KEEPERS,
        Access("authenticated", READ, Scope.DECISIONS),
        Access(
            "authenticated",
            ADD,
            Scope.DECISIONS,
            (
                "scope",
                "actor",
                "action",
                "rationale",
                "evidence_url",
                "shop_domain",
                "external_ref",
                "payload",
            ),
        ),
        Access("operator_readonly", READ),
        Access("qa_team", READ),
    ),
    feed=Feed(("people", "agents"), fresh_within=timedelta(days=7)),
)

OBSERVABILITY_LOGS = Dataset(
    name="observability_logs",
    table="public.observability_logs",
    description="What edge functions and checks said; never changed afterwards.",
    owner="engineering",
    grain="one row per message",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("level", "text", "INFO, WARN or ERROR.", nullable=False, default="'INFO'"),
        Column("message", "text", "What was said.", Pii.TEXT, nullable=False),
        Column(
            "metadata", "jsonb", "Facts of the message.", Pii.TEXT, nullable=False, default=_EMPTY
        ),
        Column("request_id", "text", "Request that it belongs to.", Pii.ID),
        Column("user_agent", "text", "Program that asked.", Pii.ID),
        CREATED_AT,
    ),
    retention=Retention((RetentionRule("all", None, "created_at", LOG_WINDOW),)),
    is_backed_up=True,
    access=(
        *KEEPERS,
        # Not every INFO line, as a level could be read: messages have held customers' addresses.
        Access("authenticated", READ, Scope.REQUEST),
        Access("monitoring_team", READ),
        Access("operator_readonly", READ),
    ),
    feed=Feed(("edge functions",)),
)
