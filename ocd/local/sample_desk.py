"""Sample rows of what stands round the agents: their desk, decisions, numbers, replies, products."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable
from datetime import timedelta

from ocd.datasets.agent_runs import AGENT_RUN
from ocd.datasets.commerce import CUSTOMER_SEGMENTS, PRODUCT_CATEGORIES
from ocd.datasets.dashboard import DASHBOARD_FACTS, FACTS
from ocd.datasets.decisions import DECISION_LOG, DECISION_SYNC_EVENT_LOGS, OBSERVABILITY_LOGS
from ocd.datasets.mirrors import (
    CHATWOOT_CONVERSATIONS,
    CHATWOOT_MESSAGES,
    SHOPIFY_INVENTORY,
    SHOPIFY_ORDER_LINES,
    SHOPIFY_ORDERS,
)
from ocd.datasets.replies import GOLD_REPLY_SUBMISSIONS
from ocd.local.samples import (
    AGENTS,
    CARS,
    PARTS,
    PEOPLE,
    Moment,
    Row,
    Sample,
    conversations,
    exchange,
)

#: Nobody's: a Chatwoot account, a shop, and Shopify ids that no real shop has reached.
ACCOUNT = 0
SHOP = "demo-shop.example"
FIRST_ID = 9_000_000_000_000_000
_SAMPLE = json.dumps({"sample": True})
_RUNS = uuid.UUID("5eed0000-0000-4000-8000-000000000000")
_SEGMENTS = {
    "diy_builder": 35,
    "professional_shop": 25,
    "enthusiast_collector": 20,
    "first_time_builder": 15,
    "racing_enthusiast": 5,
}
_CATEGORIES = ("return_refund", "shipping_delay", "product_inquiry", "technical_support")


def _conversation(rng: random.Random, at: Moment) -> Row:
    is_open = rng.random() < 0.2
    return {
        "account_id": ACCOUNT,
        "conversation_id": at.number,
        "inbox_id": 1,
        "status": "open" if is_open else "resolved",
        "priority": rng.choice((None, None, "high")),
        "labels": rng.sample(("fitment", "shipping", "return"), rng.randint(0, 2)),
        "contact_name": f"Customer {at.number}",
        "assignee_name": rng.choice(PEOPLE),
        "created_at": at.created_at,
        "first_reply_at": at.created_at + timedelta(seconds=rng.randrange(20, 1200)),
        "waiting_since_at": at.settled_at if is_open else None,
        "last_activity_at": at.settled_at,
        "snoozed_until_at": None,
        "custom_attributes": "{}",
        "fetched_at": at.until,
    }


def _message(rng: random.Random, at: Moment) -> Row:
    question, answer = exchange(rng)
    is_answer = bool(at.number % 2)
    return {
        "account_id": ACCOUNT,
        "message_id": at.number,
        "conversation_id": at.number // 2,
        "content": answer if is_answer else question,
        "message_type": int(is_answer),
        "is_private": False,
        "sender_type": "User" if is_answer else "Contact",
        "sender_name": rng.choice(PEOPLE) if is_answer else f"Customer {at.number // 2}",
        "created_at": at.created_at,
        "fetched_at": at.until,
    }


def _run(rng: random.Random, at: Moment) -> Row:
    return {
        "run_id": _run_id(at.number),
        "agent_name": rng.choice(AGENTS),
        "started_at": at.created_at,
        "ended_at": at.settled_at,
        "input_kind": "message",
        "resolution": rng.choices(("resolved", "escalated", "failed"), (80, 15, 5))[0],
        "tokens_input": rng.randrange(200, 4000),
        "tokens_output": rng.randrange(50, 900),
        "cost_usd": round(rng.uniform(0.001, 0.06), 5),
        "self_corrected": rng.random() < 0.1,
        "sla_target_seconds": 300,
        "metadata": _SAMPLE,
    }


def _run_id(number: int) -> str:
    return str(uuid.UUID(int=_RUNS.int + number))


def _decision(rng: random.Random, at: Moment) -> Row:
    return {
        "scope": rng.choices(("ops", "build"), (80, 20))[0],
        "actor": rng.choice(PEOPLE),
        "action": rng.choice(("refund approved", "reply sent", "order held", "discount refused")),
        "rationale": "Within the desk's rules.",
        "shop_domain": SHOP,
        "external_ref": f"chatwoot:{at.conversation}",
        "source_id": f"demo-{at.number}",
        "created_at": at.created_at,
    }


def _sync(rng: random.Random, at: Moment) -> Row:
    word = rng.choices(("SUCCESS", "ok", "TIMEOUT"), (70, 24, 6))[0]
    return {
        "decision_id": at.number,
        "status": word,
        "duration_ms": round(rng.lognormvariate(5.3, 0.5), 2),
        "error_code": "ETIMEDOUT" if word == "TIMEOUT" else None,
        "attempt": 1,
        "scope": rng.choice(("ops", "cx", "analytics")),
        "payload": _SAMPLE,
        "created_at": at.created_at,
    }


def _log(rng: random.Random, at: Moment) -> Row:
    return {
        "level": rng.choices(("INFO", "WARN", "ERROR"), (90, 8, 2))[0],
        "message": rng.choice(("tile refreshed", "webhook taken", "cache cold")),
        "metadata": json.dumps({"took_ms": rng.randrange(5, 900)}),
        "request_id": f"demo-{at.number}",
        "created_at": at.created_at,
    }


def _fact(rng: random.Random, at: Moment) -> Row:
    orders = rng.randrange(5, 60)
    value = {"order_count": orders, "total_revenue": orders * rng.randrange(40, 400)}
    return {
        "project": "demo",
        "topic": "shopify.sales",
        "key": "daily_summary",
        "value": json.dumps(value),
        "created_at": at.created_at,
    }


def _dashboard_fact(rng: random.Random, at: Moment) -> Row:
    kinds = ("shopify.sales.summary", "ga.sessions.anomalies", "dashboard.session.opened")
    return {
        "shop_domain": SHOP,
        "fact_type": rng.choices((*kinds, "chatwoot.escalations"), (35, 25, 30, 10))[0],
        "value": json.dumps({"count": rng.randrange(1, 40)}),
        "created_at": at.created_at,
        "updated_at": at.created_at,
    }


def _proposal(rng: random.Random, at: Moment) -> Row:
    _, answer = exchange(rng)
    status = ("approved", "pending", "approved", "rejected")[at.number % 4]
    is_reviewed = status != "pending"
    return {
        "shop_domain": SHOP,
        "conversation_id": at.conversation_id,
        "original_reply": f"Hi Customer {at.conversation}, {answer}",
        "sanitized_reply": f"Hi {{{{customerName}}}}, {answer}",
        "category": rng.choice(_CATEGORIES),
        "tags": ["ai_ready"],
        "status": status,
        "submitted_by": rng.choice(PEOPLE),
        "reviewed_by": rng.choice(PEOPLE) if is_reviewed else None,
        "reviewed_at": at.settled_at if is_reviewed else None,
        "quality_score": rng.randint(4, 5) if is_reviewed else None,
        "delivery_id": f"demo-{at.number}",
        "payload_sha256": hashlib.sha256(f"demo-{at.number}".encode()).hexdigest(),
        "created_at": at.created_at,
        "updated_at": at.settled_at,
    }


def _order(rng: random.Random, at: Moment) -> Row:
    is_sent = rng.random() < 0.85
    return {
        "shop_domain": SHOP,
        "order_id": f"gid://shopify/Order/{at.number}",
        "name": f"#{1000 + at.number}",
        "customer_id": f"gid://shopify/Customer/{FIRST_ID + at.number // 3}",
        "display_fulfillment_status": "FULFILLED" if is_sent else "UNFULFILLED",
        "display_financial_status": "REFUNDED" if at.number % 25 == 0 else "PAID",
        "total_amount": rng.randrange(2500, 90_000) / 100,
        "currency": "USD",
        "is_test": False,
        "created_at": at.created_at,
        "fetched_at": at.until,
    }


def _order_line(rng: random.Random, at: Moment) -> Row:
    part = rng.choice(PARTS)
    return {
        "shop_domain": SHOP,
        "order_id": f"gid://shopify/Order/{at.number // 2}",
        "line_number": at.number % 2 + 1,
        "sku": _sku(part),
        "title": part,
        "quantity": rng.randint(1, 4),
        "discounted_total": rng.randrange(1200, 40_000) / 100,
        "fetched_at": at.until,
    }


def _stock(rng: random.Random, at: Moment) -> Row:
    part = PARTS[at.number % len(PARTS)]
    return {
        "shop_domain": SHOP,
        "variant_id": f"gid://shopify/ProductVariant/{at.number}",
        "product_id": f"gid://shopify/Product/{FIRST_ID + at.number}",
        "sku": _sku(part),
        "product_title": part,
        "variant_title": "Default",
        "quantity": rng.randrange(0, 200),
        "inventory_policy": "DENY",
        "fetched_at": at.until,
    }


def _sku(part: str) -> str:
    return f"DEMO-{PARTS.index(part) + 1:03}"


def _product(rng: random.Random, at: Moment) -> Row:
    return {
        "shopify_product_id": FIRST_ID + at.number,
        "category_l1": "Fuel & Ignition",
        "category_l2": PARTS[at.number % len(PARTS)],
        "fits_vehicle_years": sorted(rng.sample(range(1932, 1970), 3)),
        "is_performance_part": rng.random() < 0.6,
        "avg_order_value": rng.randrange(40, 600),
        "margin_pct": rng.randrange(18, 55),
        "inventory_velocity": rng.choice(("fast", "medium", "slow")),
        "created_at": at.created_at,
        "updated_at": at.until,
    }


def _customer(rng: random.Random, at: Moment) -> Row:
    orders = rng.randint(1, 12)
    revenue = orders * rng.randrange(60, 700)
    year, model = rng.choice(CARS).split(" ")
    return {
        "shopify_customer_id": FIRST_ID + at.number,
        "primary_segment": rng.choices(tuple(_SEGMENTS), tuple(_SEGMENTS.values()))[0],
        "segment_confidence": round(rng.uniform(0.5, 1), 2),
        "total_orders": orders,
        "total_revenue": revenue,
        "avg_order_value": round(revenue / orders, 2),
        "first_ordered_at": at.created_at - timedelta(days=30 * orders),
        "last_ordered_at": at.created_at,
        "prefers_performance": rng.random() < 0.5,
        "primary_vehicle_year": 1900 + int(year),
        "primary_vehicle_model": model,
        "lifecycle_stage": rng.choice(("new", "active", "at_risk")),
        "segmented_at": at.until,
        "updated_at": at.until,
    }


def _one_in(share: int, least: int = 1) -> Callable[[int], int]:
    """One row for so many agent rows, but some in any case."""
    return lambda rows: max(least, rows // share)


def _proposals(rows: int) -> int:
    return max(1, conversations(rows) // 10)


_OF_ACCOUNT = f"account_id = {ACCOUNT}"
_OF_SHOP = f"shop_domain = '{SHOP}'"
_MARKED = """payload @> '{"sample": true}'"""

#: Parents before children.
DESK_SAMPLES = (
    Sample(CHATWOOT_CONVERSATIONS, conversations, _conversation, _OF_ACCOUNT),
    Sample(CHATWOOT_MESSAGES, lambda rows: 2 * conversations(rows), _message, _OF_ACCOUNT),
    Sample(AGENT_RUN, _one_in(20), _run, """metadata @> '{"sample": true}'"""),
    Sample(DECISION_LOG, _one_in(40), _decision, "source_id like 'demo-%'"),
    Sample(DECISION_SYNC_EVENT_LOGS, _one_in(40), _sync, _MARKED),
    Sample(OBSERVABILITY_LOGS, _one_in(40), _log, "request_id like 'demo-%'"),
    Sample(FACTS, _one_in(100), _fact, "project = 'demo'"),
    Sample(DASHBOARD_FACTS, _one_in(100), _dashboard_fact, _OF_SHOP, timedelta(days=13)),
    Sample(GOLD_REPLY_SUBMISSIONS, _proposals, _proposal, "delivery_id like 'demo-%'"),
    Sample(SHOPIFY_ORDERS, _one_in(50), _order, _OF_SHOP),
    Sample(SHOPIFY_ORDER_LINES, lambda rows: 2 * _one_in(50)(rows), _order_line, _OF_SHOP),
    Sample(SHOPIFY_INVENTORY, _one_in(10**9, 48), _stock, _OF_SHOP),
    Sample(PRODUCT_CATEGORIES, _one_in(10**9, 48), _product, f"shopify_product_id >= {FIRST_ID}"),
    Sample(CUSTOMER_SEGMENTS, _one_in(150), _customer, f"shopify_customer_id >= {FIRST_ID}"),
)
