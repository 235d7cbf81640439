"""Facts about mirrors of outside payloads: as they came, without checks, found by quality rules.

A mirror follows its source: a row that the source has not shown for a while expires.
"""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ, WORKER
from ocd.datasets.columns import FETCHED_AT, ID, INSTANT
from ocd.datasets.facts import Access, Column, Dataset, Feed, Pii, Retention, RetentionRule

MIRROR_WINDOW = timedelta(days=180)
_UNSEEN = Retention((RetentionRule("unseen", None, "fetched_at", MIRROR_WINDOW),))
_ACCOUNT = Column("account_id", "bigint", "Chatwoot account.", nullable=False)
_SHOP = Column("shop_domain", "text", "Shop that it was read from.", Pii.ID, nullable=False)

CHATWOOT_CONVERSATIONS = Dataset(
    name="chatwoot_conversations",
    table="landing.chatwoot_conversations",
    description="Conversations as Chatwoot last showed them.",
    owner="support",
    grain="one row per conversation",
    key="id",
    event_time="fetched_at",
    columns=(
        ID,
        _ACCOUNT,
        Column("conversation_id", "bigint", "Number of the conversation.", Pii.ID, nullable=False),
        Column("inbox_id", "bigint", "Inbox it came in by."),
        Column("status", "text", "open, resolved, pending or snoozed."),
        Column("priority", "text", "Priority, where one was set."),
        Column("labels", "text[]", "Labels."),
        Column("contact_name", "text", "Customer's name.", Pii.DIRECT),
        Column("assignee_name", "text", "Who has it.", Pii.DIRECT),
        Column("created_at", INSTANT, "When it began."),
        Column("first_reply_at", INSTANT, "When it was first answered; null for not yet."),
        Column("waiting_since_at", INSTANT, "Since when the customer waits; null for not."),
        Column("last_activity_at", INSTANT, "When something last happened."),
        Column("snoozed_until_at", INSTANT, "Until when it sleeps."),
        Column("custom_attributes", "jsonb", "What the desk added.", Pii.TEXT),
        FETCHED_AT,
    ),
    retention=_UNSEEN,
    is_backed_up=True,
    access=WORKER,
    feed=Feed(("chatwoot",)),
)

CHATWOOT_MESSAGES = Dataset(
    name="chatwoot_messages",
    table="landing.chatwoot_messages",
    description="Messages of conversations as Chatwoot last showed them.",
    owner="support",
    grain="one row per message",
    key="id",
    event_time="fetched_at",
    columns=(
        ID,
        _ACCOUNT,
        Column("message_id", "bigint", "Number of the message.", nullable=False),
        Column("conversation_id", "bigint", "Number of the conversation.", Pii.ID, nullable=False),
        Column("content", "text", "What was written; null for an attachment.", Pii.TEXT),
        Column("message_type", "integer", "0 incoming, 1 outgoing, 2 activity, 3 template."),
        Column("is_private", "boolean", "A note that the customer does not see."),
        Column("sender_type", "text", "Contact, User or AgentBot."),
        Column("sender_name", "text", "Who wrote it.", Pii.DIRECT),
        Column("created_at", INSTANT, "When it was written."),
        FETCHED_AT,
    ),
    retention=_UNSEEN,
    is_backed_up=True,
    access=WORKER,
    feed=Feed(("chatwoot",)),
)

SHOPIFY_ORDERS = Dataset(
    name="shopify_orders",
    table="landing.shopify_orders",
    description="Orders as Shopify last showed them.",
    owner="operations",
    grain="one row per order",
    key="id",
    event_time="fetched_at",
    columns=(
        ID,
        _SHOP,
        Column("order_id", "text", "Global id of the order.", Pii.ID, nullable=False),
        Column("name", "text", "Number that people see, such as #1001.", Pii.ID),
        Column("customer_id", "text", "Global id of the customer.", Pii.ID),
        Column("display_fulfillment_status", "text", "How far it is sent."),
        Column("display_financial_status", "text", "How far it is paid."),
        Column("total_amount", "numeric", "Current total in shop money."),
        Column("currency", "text", "Currency of the total, three letters."),
        Column("is_test", "boolean", "A test order, which no number counts."),
        Column("created_at", INSTANT, "When it was made."),
        Column("cancelled_at", INSTANT, "When it was cancelled."),
        Column("closed_at", INSTANT, "When it was closed."),
        FETCHED_AT,
    ),
    retention=_UNSEEN,
    is_backed_up=True,
    access=WORKER,
    feed=Feed(("shopify",)),
)

SHOPIFY_ORDER_LINES = Dataset(
    name="shopify_order_lines",
    table="landing.shopify_order_lines",
    description="Lines of orders as Shopify last showed them.",
    owner="operations",
    grain="one row per line of an order",
    key="id",
    event_time="fetched_at",
    columns=(
        ID,
        _SHOP,
        Column("order_id", "text", "Global id of the order.", Pii.ID, nullable=False),
        Column("line_number", "integer", "Place in the order, from 1.", nullable=False),
        Column("sku", "text", "Stock number; null where the product has none."),
        Column("title", "text", "Name of what was ordered."),
        Column("quantity", "integer", "How many."),
        Column("discounted_total", "numeric", "Price of the line after discounts."),
        FETCHED_AT,
    ),
    retention=_UNSEEN,
    is_backed_up=True,
    access=WORKER,
    feed=Feed(("shopify",)),
)

SHOPIFY_INVENTORY = Dataset(
    name="shopify_inventory",
    table="landing.shopify_inventory",
    description="Stock of each variant as Shopify last showed it, over all places.",
    owner="operations",
    grain="one row per variant",
    key="id",
    event_time="fetched_at",
    columns=(
        ID,
        _SHOP,
        Column("variant_id", "text", "Global id of the variant.", nullable=False),
        Column("product_id", "text", "Global id of the product."),
        Column("sku", "text", "Stock number; null where the product has none."),
        Column("product_title", "text", "Name of the product."),
        Column("variant_title", "text", "Name of the variant."),
        Column("quantity", "integer", "How many are there; may be negative."),
        Column("inventory_policy", "text", "Whether it is sold when none is left."),
        FETCHED_AT,
    ),
    retention=_UNSEEN,
    is_backed_up=True,
    access=(*WORKER, Access("ocd_reader", READ)),
    feed=Feed(("shopify",), fresh_within=timedelta(days=2)),
)
