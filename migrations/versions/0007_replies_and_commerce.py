"""Create the tables of gold replies and of the shop's own models.

Why: a reply that agents learn from must have been approved by a named person, and a webhook that
is sent twice must count once; both are constraints here, not habits.
Locks: none, the tables are new.
"""

from alembic import op

from migrations.replaceable import put, take_back
from migrations.tables import close, refuse_existing, refuse_rows

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = {
    "public.gold_reply_submissions": """
    create table public.gold_reply_submissions (
      id bigint generated always as identity primary key,
      shop_domain text,
      conversation_id text not null,
      original_reply text not null check (btrim(original_reply) <> ''),
      sanitized_reply text,
      category text not null check (category in ('shipping_delay', 'product_inquiry', 'return_refund',
        'order_modification', 'technical_support', 'general_inquiry')),
      tags text[] not null default '{}',
      customer_issue_summary text,
      status text not null default 'pending'
        check (status in ('pending', 'approved', 'rejected', 'archived')),
      submitted_by text,
      reviewed_by text check (btrim(reviewed_by) <> ''),
      reviewed_at timestamptz,
      quality_score smallint check (quality_score between 1 and 5),
      usage_count integer not null default 0 check (usage_count >= 0),
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      evidence_url text,
      delivery_id text unique,
      payload_sha256 text not null unique check (payload_sha256 ~ '^[0-9a-f]{64}$'),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint gold_reply_submissions_review_check check
        ((status = 'pending') = (reviewed_at is null) and (reviewed_by is null) = (reviewed_at is null)),
      constraint gold_reply_submissions_approved_check check
        (status <> 'approved' or btrim(coalesce(sanitized_reply, '')) <> '')
    )
    """,
    "public.support_curated_replies": """
    create table public.support_curated_replies (
      id bigint generated always as identity primary key,
      message_body text not null check (btrim(message_body) <> ''),
      tags text[] not null default '{}',
      approver text not null check (btrim(approver) <> ''),
      approved_at timestamptz not null default now(),
      source_message_id text unique,
      conversation_id text,
      submission_id bigint unique references public.gold_reply_submissions (id) on delete set null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )
    """,
    "public.product_categories": """
    create table public.product_categories (
      id bigint generated always as identity primary key,
      shopify_product_id bigint not null unique,
      category_l1 text not null check (category_l1 in ('Engine & Drivetrain', 'Suspension & Steering',
        'Brakes & Wheels', 'Exterior & Body', 'Interior & Trim', 'Electrical & Lighting',
        'Exhaust & Intake', 'Fuel & Ignition', 'Tools & Equipment', 'Accessories & Apparel')),
      category_l2 text,
      category_l3 text,
      fits_vehicle_years integer[] not null default '{}',
      fits_makes text[] not null default '{}',
      fits_models text[] not null default '{}',
      is_performance_part boolean not null default false,
      is_restoration_part boolean not null default false,
      is_custom_fabrication boolean not null default false,
      avg_order_value numeric(12,2) check (avg_order_value >= 0),
      margin_pct numeric(5,2) check (margin_pct <= 100),
      inventory_velocity text check (inventory_velocity in ('fast', 'medium', 'slow')),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint product_categories_levels_check check (category_l3 is null or category_l2 is not null)
    )
    """,
    "public.customer_segments": """
    create table public.customer_segments (
      id bigint generated always as identity primary key,
      shopify_customer_id bigint not null unique,
      primary_segment text not null check (primary_segment in ('diy_builder', 'professional_shop',
        'enthusiast_collector', 'first_time_builder', 'racing_enthusiast')),
      segment_confidence numeric(3,2) not null default 0.5 check (segment_confidence between 0 and 1),
      total_orders integer not null default 0 check (total_orders >= 0),
      total_revenue numeric(12,2) not null default 0 check (total_revenue >= 0),
      avg_order_value numeric(12,2) check (avg_order_value >= 0),
      first_ordered_at timestamptz,
      last_ordered_at timestamptz,
      top_category_l1 text,
      top_category_l2 text,
      prefers_performance boolean,
      prefers_restoration boolean,
      primary_vehicle_year integer check (primary_vehicle_year between 1880 and 2100),
      primary_vehicle_make text,
      primary_vehicle_model text,
      support_tickets_count integer not null default 0 check (support_tickets_count >= 0),
      review_count integer not null default 0 check (review_count >= 0),
      avg_review_rating numeric(2,1) check (avg_review_rating between 1 and 5),
      lifecycle_stage text not null
        check (lifecycle_stage in ('new', 'active', 'at_risk', 'churned', 'reactivated')),
      segmented_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint customer_segments_orders_check check
        ((total_orders = 0) = (last_ordered_at is null) and (first_ordered_at is null) = (last_ordered_at is null)
         and first_ordered_at <= last_ordered_at),
      constraint customer_segments_reviews_check check ((review_count = 0) = (avg_review_rating is null))
    )
    """,
}

INDEXES = [
    """
    create index gold_reply_submissions_pending_idx on public.gold_reply_submissions (created_at)
      where status = 'pending'
    """,
    # One open proposal per conversation.
    """
    create unique index gold_reply_submissions_open_key on public.gold_reply_submissions (conversation_id)
      where status = 'pending'
    """,
    """
    create index gold_reply_submissions_conversation_id_idx
      on public.gold_reply_submissions (conversation_id)
    """,
    "create index gold_reply_submissions_reviewed_at_idx on public.gold_reply_submissions (reviewed_at)",
    """
    create unique index support_curated_replies_body_key
      on public.support_curated_replies (conversation_id, md5(message_body))
    """,
    "create index support_curated_replies_approved_at_idx on public.support_curated_replies (approved_at desc)",
    "create index support_curated_replies_updated_at_idx on public.support_curated_replies (updated_at desc)",
    "create index support_curated_replies_tags_idx on public.support_curated_replies using gin (tags)",
    "create index product_categories_category_idx on public.product_categories (category_l1, category_l2)",
    "create index product_categories_updated_at_idx on public.product_categories (updated_at desc)",
    "create index customer_segments_segment_idx on public.customer_segments (primary_segment, lifecycle_stage)",
    "create index customer_segments_segmented_at_idx on public.customer_segments (segmented_at desc)",
]

COMMENTS = ("comments/replies", "comments/commerce")
FUNCTIONS = ("functions/approve_gold_reply",)


def upgrade() -> None:
    """Create the tables, closed to everybody; revision 0009 opens them."""
    refuse_existing(TABLES)
    for statement in (*TABLES.values(), *INDEXES):
        op.execute(statement)
    for table in TABLES:
        op.execute(
            f"create trigger touch_updated_at before update on {table} "
            "for each row execute function ocd.touch_updated_at()"
        )
        close(table)
    put(revision, *COMMENTS, *FUNCTIONS)


def downgrade() -> None:
    """Drop the tables; refuse while one holds rows."""
    refuse_rows(TABLES, revision)
    take_back(revision, *COMMENTS, *FUNCTIONS)
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
