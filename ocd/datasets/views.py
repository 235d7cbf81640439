"""Facts about views and functions: what they are for, and who may use them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A view runs with its reader's rights: the policies of the tables below decide about rows."""

    name: str  # schema-qualified
    description: str
    reads: tuple[str, ...]
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A function that somebody may call; every other one of ours is for triggers alone."""

    signature: str  # as PostgreSQL prints it: schema.name(argument type, …)
    description: str
    callers: tuple[str, ...]


#: Who reads a metric view reads every row below it; others would see numbers of their own rows only.
_QUERY_READERS = ("monitoring_team", "ocd_worker", "operator_readonly", "qa_team", "service_role")
_FEEDBACK_READERS = ("annotator", "ocd_worker", "qa_team", "service_role")

VIEWS = (
    View(
        name="public.decision_sync_events",
        description="Attempts to carry a decision to the outside, newest first.",
        reads=("public.decision_sync_event_logs",),
        readers=("ai_readonly", "ocd_reader", "ocd_worker", "operator_readonly", "service_role"),
    ),
    View(
        name="landing.landing_page_sessions",
        description="Sessions per property, day and landing page, with their origin.",
        reads=("landing.ga_partition", "landing.ga_row"),
        readers=("ocd_reader", "ocd_worker"),
    ),
    View(
        name="landing.landing_page_weeks",
        description="Sessions of the last seven stored days against the seven before, by property and landing page.",
        reads=("landing.ga_partition", "landing.ga_row"),
        readers=("ocd_reader", "ocd_worker"),
    ),
    View(
        name="public.approval_queue_depth",
        description="Approvals opened, resolved and still pending at the end of each of the last 30 days.",
        reads=("public.agent_approvals",),
        readers=("ocd_worker", "operator_readonly", "service_role"),
    ),
    View(
        name="public.agent_response_accuracy",
        description="Share of reviewed answers that people approved, by agent, over the last 30 days.",
        reads=("public.agent_queries",),
        readers=_QUERY_READERS,
    ),
    View(
        name="public.agent_performance_snapshot",
        description="Latency, quality score and health of each agent that was asked in the last 24 hours.",
        reads=("public.agent_queries",),
        readers=_QUERY_READERS,
    ),
    View(
        name="public.training_data_quality",
        description="Judgements, marks and labels of the drafts of the last 30 days, by model version.",
        reads=("public.agent_feedback",),
        readers=_FEEDBACK_READERS,
    ),
    View(
        name="public.annotation_progress",
        description="Drafts made and judged on each of the last 30 days.",
        reads=("public.agent_feedback",),
        readers=_FEEDBACK_READERS,
    ),
    View(
        name="public.decision_sync_health",
        description="Successes, failures and durations of decision syncs of the last 7 days, by scope.",
        reads=("public.decision_sync_event_logs",),
        readers=("ocd_reader", "ocd_worker", "operator_readonly", "service_role"),
    ),
    View(
        name="public.sla_breaches",
        description="Breaches of deadlines, each once, with the first decision that followed.",
        reads=("public.dashboard_facts", "public.decision_log"),
        readers=("ocd_worker", "operator_readonly", "service_role"),
    ),
    View(
        name="public.shop_sessions",
        description="When the panel of which shop was opened.",
        reads=("public.dashboard_facts",),
        readers=("ocd_worker", "operator_readonly", "service_role"),
    ),
    View(
        name="landing.stock_and_sales",
        description="Stock of each variant and units sold, by stock number.",
        reads=(
            "landing.shopify_inventory",
            "landing.shopify_order_lines",
            "landing.shopify_orders",
        ),
        readers=("ocd_worker",),
    ),
)

FUNCTIONS = (
    Function(
        signature="public.approve_gold_reply(submission bigint, reviewer text)",
        description="Approves a pending submission and files its sanitized reply.",
        callers=("ocd_worker", "service_role"),
    ),
)
