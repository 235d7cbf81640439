"""Facts about the shop's own models of its products and customers."""

from __future__ import annotations

from ocd.datasets.access import READ, SERVICES
from ocd.datasets.columns import CREATED_AT, ID, INSTANT, UPDATED_AT
from ocd.datasets.facts import Access, Column, Dataset, Feed, Pii

_NONE = "'{}'::text[]"

PRODUCT_CATEGORIES = Dataset(
    name="product_categories",
    table="public.product_categories",
    description="Where a product stands in the catalogue and which vehicles it fits.",
    owner="merchandising",
    grain="one row per product",
    key="id",
    event_time="updated_at",
    columns=(
        ID,
        Column("shopify_product_id", "bigint", "Product in Shopify.", nullable=False),
        Column("category_l1", "text", "One of ten top categories.", nullable=False),
        Column("category_l2", "text", "Category below it."),
        Column("category_l3", "text", "Category below that."),
        Column(
            "fits_vehicle_years",
            "integer[]",
            "Model years it fits; empty for any.",
            nullable=False,
            default="'{}'::integer[]",
        ),
        Column("fits_makes", "text[]", "Makes it fits.", nullable=False, default=_NONE),
        Column("fits_models", "text[]", "Models it fits.", nullable=False, default=_NONE),
        Column(
            "is_performance_part", "boolean", "Makes it faster.", nullable=False, default="false"
        ),
        Column(
            "is_restoration_part", "boolean", "Makes it as it was.", nullable=False, default="false"
        ),
        Column(
            "is_custom_fabrication",
            "boolean",
            "Is made to order.",
            nullable=False,
            default="false",
        ),
        Column("avg_order_value", "numeric(12,2)", "Mean value of orders with it."),
        Column("margin_pct", "numeric(5,2)", "Margin in per cent of the price."),
        Column("inventory_velocity", "text", "fast, medium or slow."),
        CREATED_AT,
        UPDATED_AT,
    ),
    is_backed_up=True,
    access=(
        *SERVICES,
        Access("analytics_reader", READ),
        Access("operator_readonly", READ),
    ),
    feed=Feed(("shopify",)),
)

CUSTOMER_SEGMENTS = Dataset(
    name="customer_segments",
    table="public.customer_segments",
    description="What kind of customer somebody is, recomputed from orders and tickets.",
    owner="marketing",
    grain="one row per customer",
    key="id",
    event_time="segmented_at",
    columns=(
        ID,
        Column("shopify_customer_id", "bigint", "Customer in Shopify.", Pii.ID, nullable=False),
        Column(
            "primary_segment",
            "text",
            "diy_builder, professional_shop, enthusiast_collector, first_time_builder or racing_enthusiast.",
            nullable=False,
        ),
        Column(
            "segment_confidence",
            "numeric(3,2)",
            "How sure, from 0 to 1.",
            nullable=False,
            default="0.5",
        ),
        Column("total_orders", "integer", "Orders so far.", nullable=False, default="0"),
        Column("total_revenue", "numeric(12,2)", "Their value.", nullable=False, default="0"),
        Column("avg_order_value", "numeric(12,2)", "Mean value of an order."),
        Column("first_ordered_at", INSTANT, "When the first order was made."),
        Column("last_ordered_at", INSTANT, "When the newest order was made."),
        Column("top_category_l1", "text", "Category bought most."),
        Column("top_category_l2", "text", "Category below it bought most."),
        Column("prefers_performance", "boolean", "Buys performance parts."),
        Column("prefers_restoration", "boolean", "Buys restoration parts."),
        Column("primary_vehicle_year", "integer", "Model year of the vehicle.", Pii.ID),
        Column("primary_vehicle_make", "text", "Make of the vehicle.", Pii.ID),
        Column("primary_vehicle_model", "text", "Model of the vehicle.", Pii.ID),
        Column(
            "support_tickets_count", "integer", "Conversations so far.", nullable=False, default="0"
        ),
        Column("review_count", "integer", "Reviews so far.", nullable=False, default="0"),
        Column("avg_review_rating", "numeric(2,1)", "Their mean, from 1 to 5."),
        Column(
            "lifecycle_stage",
            "text",
            "new, active, at_risk, churned or reactivated.",
            nullable=False,
        ),
        Column("segmented_at", INSTANT, "When it was computed.", nullable=False, default="now()"),
        UPDATED_AT,
    ),
    is_backed_up=True,
    access=(*SERVICES, Access("analytics_reader", READ)),
    feed=Feed(("shopify_orders", "chatwoot_conversations")),
)
