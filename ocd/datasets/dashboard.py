"""Facts about facts: numbers that the panel shows, with what they were computed from."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import ADD, KEEPERS, READ, SERVICES
from ocd.datasets.columns import CREATED_AT, ID, INSTANT, UPDATED_AT
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

FACT_WINDOW = timedelta(days=180)
_EMPTY = "'{}'::jsonb"

FACTS = Dataset(
    name="facts",
    table="public.facts",
    description="What a source said at an instant, under topic and key; never changed afterwards.",
    owner="analytics",
    grain="one row per fact",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("project", "text", "Project that it is about.", nullable=False, default="'occ'"),
        Column("topic", "text", "Subject, such as shopify.sales.", nullable=False),
        Column("key", "text", "What of it, such as daily_summary.", nullable=False),
        Column("value", "jsonb", "The fact.", Pii.TEXT, nullable=False),
        CREATED_AT,
    ),
    retention=Retention((RetentionRule("all", None, "created_at", FACT_WINDOW),)),
    is_backed_up=True,
    access=(
        *KEEPERS,
        Access("ai_readonly", READ),
        Access("analytics_reader", READ),
        Access("authenticated", READ, Scope.PROJECT),
        Access("authenticated", ADD, Scope.PROJECT, ("project", "topic", "key", "value")),
    ),
    feed=Feed(("shopify", "chatwoot", "ga4")),
)


def _kind(*prefixes: str) -> str:
    """The condition for fact types that begin so; never null."""
    found = " or ".join(f"starts_with(fact_type, '{prefix}')" for prefix in prefixes)
    return f"coalesce({found}, false)"


DASHBOARD_FACTS = Dataset(
    name="dashboard_facts",
    table="public.dashboard_facts",
    description="Facts of a shop that tiles show; one per period where there is a period.",
    owner="analytics",
    grain="one row per shop, fact type, scope and period",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("shop_domain", "text", "Shop, or __aggregate__ for all.", Pii.ID, nullable=False),
        Column("fact_type", "text", "Kind, such as shopify.sales.summary.", nullable=False),
        Column("scope", "text", "Part of the shop; empty for all.", nullable=False, default="''"),
        Column("period_start", INSTANT, "Begin of the period; null for an event."),
        Column("period_end", INSTANT, "End of the period; null for an event."),
        Column("value", "jsonb", "Raw inputs and result.", Pii.TEXT, nullable=False),
        Column(
            "metadata",
            "jsonb",
            "Parameters, instants and assumptions.",
            Pii.TEXT,
            nullable=False,
            default=_EMPTY,
        ),
        Column("evidence_url", "text", "Where the proof lies."),
        CREATED_AT,
        UPDATED_AT,
    ),
    retention=Retention(
        (
            RetentionRule(
                "sales_and_traffic", _kind("shopify.", "ga."), "created_at", timedelta(days=30)
            ),
            RetentionRule(
                "escalations", _kind("chatwoot.escalations"), "created_at", timedelta(days=14)
            ),
            RetentionRule("sessions", _kind("dashboard.session"), "created_at", timedelta(days=90)),
            RetentionRule("others", None, "created_at", FACT_WINDOW),
        )
    ),
    is_backed_up=True,
    access=(
        *SERVICES,
        Access("authenticated", READ, Scope.SHOP),
        Access("operator_readonly", READ),
    ),
    feed=Feed(("shopify", "chatwoot", "ga4")),
)

METRIC_FACTS = Dataset(
    name="metric_facts",
    table="public.metric_facts",
    description="One value per metric, scope and period, however often it is computed.",
    owner="analytics",
    grain="one row per metric, scope and period",
    key="id",
    event_time="computed_at",
    columns=(
        ID,
        Column("metric", "text", "Name of the metric.", nullable=False),
        Column(
            "scope",
            "text",
            "An agent, shop, page or stock number; empty for all.",
            nullable=False,
            default="''",
        ),
        Column("period_start", INSTANT, "Begin of the period.", nullable=False),
        Column("period_end", INSTANT, "End of the period.", nullable=False),
        Column("value", "numeric", "The value; null where it cannot be had."),
        Column("unit", "text", "What it is counted in.", nullable=False),
        Column("inputs", "jsonb", "Numbers it was computed from.", nullable=False, default=_EMPTY),
        Column("reason", "text", "Why there is no value."),
        Column("run_id", "bigint", "Run that computed it.", nullable=False),
        Column("computed_at", INSTANT, "When it was computed.", nullable=False),
        Column("level", "text", "ok, warn or crit; null without a value or limits."),
        Column(
            "spec",
            "jsonb",
            "Version, limits and assumptions of its specification.",
            nullable=False,
            default=_EMPTY,
        ),
    ),
    is_backed_up=True,
    access=(*SERVICES, Access("ocd_reader", READ)),
    feed=Feed(
        (
            "agent_approvals",
            "agent_feedback",
            "agent_queries",
            "chatwoot_conversations",
            "dashboard_facts",
            "decision_log",
            "decision_sync_event_logs",
            "ga4",
            "shopify_inventory",
            "shopify_order_lines",
            "shopify_orders",
        ),
        fresh_within=timedelta(days=2),
    ),
)
