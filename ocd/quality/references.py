"""References between tables that no constraint holds, and figures that have to agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import TextClause

from ocd.core.sqlfiles import statement
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.decisions import DECISION_SYNC_EVENT_LOGS
from ocd.datasets.facts import Dataset
from ocd.datasets.mirrors import CHATWOOT_MESSAGES, SHOPIFY_ORDER_LINES, SHOPIFY_ORDERS

#: Younger than any retention, so that a parent is never gone because its time was over.
YOUNG = timedelta(days=7)


@dataclass(frozen=True)
class Reference:
    """Each row of `child` whose `columns` are given has a row in `parent` with the same in `to`.

    `within`: only rows whose event is not older than this, counted from the end of the window.
    """

    name: str
    child: Dataset
    columns: tuple[str, ...]
    parent: str  # schema-qualified
    to: tuple[str, ...]
    within: timedelta | None = None


@dataclass(frozen=True)
class Reconciliation:
    """A statement that returns item, left_value, right_value: equal but for `tolerance` of the greater."""

    name: str
    statement: TextClause
    tolerance: float = 0.0


_ORDER = ("shop_domain", "order_id")
_CONVERSATION = ("conversation_id",)
_QUERIES = AGENT_QUERIES.table

REFERENCES = (
    Reference(
        "messages.conversation",
        CHATWOOT_MESSAGES,
        ("account_id", "conversation_id"),
        "landing.chatwoot_conversations",
        ("account_id", "conversation_id"),
    ),
    Reference("lines.order", SHOPIFY_ORDER_LINES, _ORDER, "landing.shopify_orders", _ORDER),
    Reference("orders.line", SHOPIFY_ORDERS, _ORDER, "landing.shopify_order_lines", _ORDER),
    Reference("feedback.query", AGENT_FEEDBACK, _CONVERSATION, _QUERIES, _CONVERSATION, YOUNG),
    Reference("approvals.query", AGENT_APPROVALS, _CONVERSATION, _QUERIES, _CONVERSATION, YOUNG),
    Reference(
        "syncs.decision",
        DECISION_SYNC_EVENT_LOGS,
        ("decision_id",),
        "public.decision_log",
        ("id",),
        YOUNG,
    ),
)

RECONCILIATIONS = (
    Reconciliation("facts.rows", statement(__file__, "reconcile_facts.sql")),
    Reconciliation("facts.sales", statement(__file__, "reconcile_sales.sql"), tolerance=0.0001),
    Reconciliation("replies.submissions", statement(__file__, "reconcile_replies.sql")),
)
