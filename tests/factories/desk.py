"""Makers of rows about the shop, its visitors and its desk; the caller commits."""

from __future__ import annotations

import itertools
import json
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

SHOP = "shop.test"
_numbers = itertools.count(1)

_ORDER = text("""
    insert into landing.shopify_orders (shop_domain, order_id, total_amount, currency, created_at, is_test,
      cancelled_at, closed_at, display_fulfillment_status, display_financial_status)
    values (:shop, :order_id, :amount, :currency, :created_at, :is_test, :cancelled_at, :closed_at, :status, :paid)
""")
_LINE = text("""
    insert into landing.shopify_order_lines (shop_domain, order_id, line_number, sku, quantity)
    values (:shop, :order_id, 1, :sku, :quantity)
""")
_STOCK = text("""
    insert into landing.shopify_inventory (shop_domain, variant_id, sku, quantity, inventory_policy)
    values (:shop, :variant, :sku, :quantity, :policy)
""")
_CONVERSATION = text("""
    insert into landing.chatwoot_conversations (account_id, conversation_id, status, priority, created_at,
      first_reply_at, waiting_since_at)
    values (1, :number, :status, :priority, :created_at, :first_reply_at, :waiting_since_at)
""")
_PARTITION = text("""
    insert into landing.ga_partition (property, report, day, origin, fetched_at, run_id, row_count, is_provisional)
    values ('1', 'landing_pages', :day, 'recorded', now(), 1, :rows, false) returning id
""")
_VISITS = text("""
    insert into landing.ga_row (partition_id, row_number, dimensions, metrics)
    values (:partition, :number, cast(:dimensions as jsonb), cast(:metrics as jsonb))
""")
_FACT = text("""
    insert into public.dashboard_facts (shop_domain, fact_type, value, metadata, created_at)
    values (:shop, :kind, '{}', cast(:metadata as jsonb), :created_at)
""")
_DECISION = text("""
    insert into public.decision_log (scope, actor, action, shop_domain, external_ref, created_at)
    values (:scope, 'operator-red', 'reply', :shop, :ref, :created_at)
""")


def make_order(conn: Connection, *, created_at: datetime, **columns: Any) -> str:
    """Insert a paid order of 10 USD that is not sent yet; `sku` and `quantity` add a line."""
    order_id = f"order-{next(_numbers)}"
    row = {
        "shop": SHOP,
        "order_id": order_id,
        "amount": 10,
        "currency": "USD",
        "is_test": False,
        "cancelled_at": None,
        "closed_at": None,
        "status": "UNFULFILLED",
        "paid": "PAID",
        "created_at": created_at,
    }
    conn.execute(_ORDER, row | columns)
    if "sku" in columns:
        conn.execute(_LINE, row | columns)
    return order_id


def make_stock(
    conn: Connection, sku: str | None, quantity: int | None, policy: str = "DENY"
) -> None:
    """Insert a variant with so much stock."""
    row = {"shop": SHOP, "variant": f"v{next(_numbers)}", "sku": sku}
    conn.execute(_STOCK, row | {"quantity": quantity, "policy": policy})


def make_conversation(conn: Connection, *, created_at: datetime, **columns: Any) -> None:
    """Insert an open conversation in which nobody waits."""
    row = {
        "number": next(_numbers),
        "status": "open",
        "priority": None,
        "first_reply_at": created_at,
        "waiting_since_at": None,
        "created_at": created_at,
    }
    conn.execute(_CONVERSATION, row | columns)


def make_visits(conn: Connection, day: date, sessions: dict[str, int]) -> None:
    """Store a day's report: sessions by landing page."""
    partition = conn.execute(_PARTITION, {"day": day, "rows": len(sessions)}).scalar_one()
    for number, (page, count) in enumerate(sessions.items(), 1):
        # GA4 sends numbers as text.
        values = {
            "dimensions": json.dumps({"landingPage": page}),
            "metrics": json.dumps({"sessions": str(count)}),
        }
        conn.execute(_VISITS, {"partition": partition, "number": number} | values)


def make_session(conn: Connection, shop: str, created_at: datetime) -> None:
    """Say that somebody opened the panel of a shop."""
    row = {"shop": shop, "kind": "dashboard.session.opened", "metadata": "{}"}
    conn.execute(_FACT, row | {"created_at": created_at})


def make_breaches(
    conn: Connection, breaches: dict[str, datetime | str], created_at: datetime
) -> None:
    """Say of which conversations the deadline was missed when, as one refresh does."""
    said = [
        {
            "conversationId": conversation,
            "breachedAt": one if isinstance(one, str) else one.isoformat(),
        }
        for conversation, one in breaches.items()
    ]
    row = {"shop": SHOP, "kind": "chatwoot.escalations", "created_at": created_at}
    conn.execute(_FACT, row | {"metadata": json.dumps({"breaches": said})})


def make_decision(
    conn: Connection,
    created_at: datetime,
    *,
    shop: str | None = None,
    conversation: str | None = None,
    scope: str = "ops",
) -> None:
    """Insert a decision about a shop or a conversation."""
    ref = None if conversation is None else f"chatwoot:{conversation}"
    conn.execute(_DECISION, {"scope": scope, "shop": shop, "ref": ref, "created_at": created_at})
