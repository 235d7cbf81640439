"""Facts about the agent tables: what the assistants asked, drafted and had approved.

Retention periods: decided 2025-10 with the desk's owners; docs/how-to/change-retention.md.
"""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import CHANGE, READ, SERVICES
from ocd.datasets.columns import CONVERSATION_ID, CREATED_AT, ID, UPDATED_AT
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

#: All agent rows are kept this long after they are settled.
WINDOW = timedelta(days=30)
#: Rows worth a closer look (unsafe drafts, slow answers) are kept this long instead.
EXCEPTION_WINDOW = timedelta(days=180)
#: An answer slower than this is slow; exactly this is not.
SLOW_MS = 200

#: Agents write all day; two days of silence means that something stands still.
FRESH_WITHIN = timedelta(days=2)
_FEED = Feed(("agents",), FRESH_WITHIN)
_OWN = Access("authenticated", READ, Scope.CONVERSATION)
#: What a judge fills in; the draft itself is never changed.
_JUDGEMENT = ("safe_to_send", "labels", "rubric", "annotator", "notes")

AGENT_APPROVALS = Dataset(
    name="agent_approvals",
    table="public.agent_approvals",
    description="Agent actions that wait for a person's decision, and the decisions.",
    owner="support",
    grain="one row per interrupted agent run",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        CONVERSATION_ID,
        Column(
            "serialized",
            "jsonb",
            "Frozen state of the agent: intent, order, amounts.",
            Pii.TEXT,
            nullable=False,
        ),
        Column(
            "last_interruptions",
            "jsonb",
            "Why the agent stopped: list of {type, timestamp, reason}.",
            Pii.TEXT,
            default="'[]'::jsonb",
        ),
        CREATED_AT,
        Column("approved_by", "text", "Who approved or rejected.", Pii.DIRECT),
        Column(
            "status",
            "text",
            "pending, approved, rejected or expired.",
            nullable=False,
            default="'pending'",
        ),
        UPDATED_AT,
        Column(
            "resolved_at",
            "timestamp with time zone",
            "When the status left pending; set once, by a trigger.",
        ),
        Column("agent", "text", "Agent that asked."),
    ),
    retention=Retention(
        (
            RetentionRule(
                "pending", "status = 'pending' or resolved_at is null", "created_at", None
            ),
            RetentionRule("resolved", None, "resolved_at", WINDOW),
        )
    ),
    is_backed_up=True,
    access=(*SERVICES, _OWN, Access("operator_readonly", READ)),
    feed=_FEED,
)

AGENT_FEEDBACK = Dataset(
    name="agent_feedback",
    table="public.agent_feedback",
    description="People's judgement of drafts; the training data.",
    owner="support",
    grain="one row per judged draft",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        CONVERSATION_ID,
        Column("input_text", "text", "What the customer wrote.", Pii.TEXT, nullable=False),
        Column("model_draft", "text", "What the agent proposed.", Pii.TEXT, nullable=False),
        Column("safe_to_send", "boolean", "Judgement; null until someone looked."),
        Column(
            "labels", "text[]", "Labels the annotator gave.", nullable=False, default="'{}'::text[]"
        ),
        Column(
            "rubric",
            "jsonb",
            "clarity, accuracy, tone: integers 1 to 5.",
            nullable=False,
            default="'{}'::jsonb",
        ),
        Column("annotator", "text", "Who judged.", Pii.DIRECT),
        Column("notes", "text", "Free remarks.", Pii.TEXT),
        Column(
            "meta",
            "jsonb",
            "confidence 0 to 1, model_version, flagged.",
            nullable=False,
            default="'{}'::jsonb",
        ),
        CREATED_AT,
        UPDATED_AT,
    ),
    retention=Retention(
        (
            # `is false`, so that an unjudged draft (null) counts as not unsafe.
            RetentionRule("unsafe", "safe_to_send is false", "created_at", EXCEPTION_WINDOW),
            RetentionRule("judged_or_not", None, "created_at", WINDOW),
        )
    ),
    is_backed_up=True,
    access=(
        *SERVICES,
        _OWN,
        Access("annotator", READ),
        Access("annotator", CHANGE, Scope.SIGNED, _JUDGEMENT),
        Access("qa_team", READ),
        Access("qa_team", CHANGE, Scope.SIGNED, _JUDGEMENT),
    ),
    feed=_FEED,
)

AGENT_QUERIES = Dataset(
    name="agent_queries",
    table="public.agent_queries",
    description="Every question an agent asked, with its answer.",
    owner="engineering",
    grain="one row per agent query",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("query", "text", "The question.", Pii.TEXT, nullable=False),
        Column("result", "jsonb", "The answer.", Pii.TEXT, nullable=False),
        CONVERSATION_ID,
        Column("agent", "text", "Agent that asked.", nullable=False),
        Column("approved", "boolean", "Judgement; null until someone looked."),
        Column(
            "human_edited",
            "boolean",
            "Whether a person changed the answer.",
            nullable=False,
            default="false",
        ),
        Column("latency_ms", "integer", "Time to answer, milliseconds."),
        CREATED_AT,
        UPDATED_AT,
    ),
    retention=Retention(
        (
            RetentionRule(
                "slow", f"coalesce(latency_ms, 0) > {SLOW_MS}", "created_at", EXCEPTION_WINDOW
            ),
            RetentionRule("fast", None, "created_at", WINDOW),
        )
    ),
    is_backed_up=True,
    access=(
        *SERVICES,
        _OWN,
        Access("monitoring_team", READ),
        Access("operator_readonly", READ),
        Access("qa_team", READ),
    ),
    feed=_FEED,
)
