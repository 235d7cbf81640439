"""Create the mirrors of what Chatwoot and Shopify say.

Why: numbers and quality rules need the outside's rows as they came. Nothing but the keys is held to
a shape, so that a fault of the outside is found by a rule instead of stopping the refresh.
Locks: none, the tables are new.
"""

from alembic import op

from migrations.replaceable import put, take_back
from migrations.tables import close, refuse_existing

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = {
    "landing.chatwoot_conversations": """
    create table landing.chatwoot_conversations (
      id bigint generated always as identity primary key,
      account_id bigint not null,
      conversation_id bigint not null,
      inbox_id bigint,
      status text,
      priority text,
      labels text[],
      contact_name text,
      assignee_name text,
      created_at timestamptz,
      first_reply_at timestamptz,
      waiting_since_at timestamptz,
      last_activity_at timestamptz,
      snoozed_until_at timestamptz,
      custom_attributes jsonb,
      fetched_at timestamptz not null default now(),
      constraint chatwoot_conversations_key unique (account_id, conversation_id)
    )
    """,
    "landing.chatwoot_messages": """
    create table landing.chatwoot_messages (
      id bigint generated always as identity primary key,
      account_id bigint not null,
      message_id bigint not null,
      conversation_id bigint not null,
      content text,
      message_type integer,
      is_private boolean,
      sender_type text,
      sender_name text,
      created_at timestamptz,
      fetched_at timestamptz not null default now(),
      constraint chatwoot_messages_key unique (account_id, message_id)
    )
    """,
    "landing.shopify_orders": """
    create table landing.shopify_orders (
      id bigint generated always as identity primary key,
      shop_domain text not null,
      order_id text not null,
      name text,
      customer_id text,
      display_fulfillment_status text,
      display_financial_status text,
      total_amount numeric,
      currency text,
      is_test boolean,
      created_at timestamptz,
      cancelled_at timestamptz,
      closed_at timestamptz,
      fetched_at timestamptz not null default now(),
      constraint shopify_orders_key unique (shop_domain, order_id)
    )
    """,
    "landing.shopify_order_lines": """
    create table landing.shopify_order_lines (
      id bigint generated always as identity primary key,
      shop_domain text not null,
      order_id text not null,
      line_number integer not null,
      sku text,
      title text,
      quantity integer,
      discounted_total numeric,
      fetched_at timestamptz not null default now(),
      constraint shopify_order_lines_key unique (shop_domain, order_id, line_number)
    )
    """,
    "landing.shopify_inventory": """
    create table landing.shopify_inventory (
      id bigint generated always as identity primary key,
      shop_domain text not null,
      variant_id text not null,
      product_id text,
      sku text,
      product_title text,
      variant_title text,
      quantity integer,
      inventory_policy text,
      fetched_at timestamptz not null default now(),
      constraint shopify_inventory_key unique (shop_domain, variant_id)
    )
    """,
}

INDEXES = [
    "create index chatwoot_conversations_created_at_idx on landing.chatwoot_conversations (created_at desc)",
    """
    create index chatwoot_conversations_waiting_idx on landing.chatwoot_conversations (waiting_since_at)
      where status = 'open'
    """,
    """
    create index chatwoot_messages_conversation_idx
      on landing.chatwoot_messages (account_id, conversation_id, created_at)
    """,
    "create index shopify_orders_created_at_idx on landing.shopify_orders (shop_domain, created_at desc)",
    "create index shopify_order_lines_sku_idx on landing.shopify_order_lines (shop_domain, sku)",
    "create index shopify_inventory_sku_idx on landing.shopify_inventory (shop_domain, sku)",
]

COMMENTS = ("comments/mirrors",)


def upgrade() -> None:
    """Create the mirrors, closed to everybody; revision 0009 opens them."""
    refuse_existing(TABLES)
    for statement in (*TABLES.values(), *INDEXES):
        op.execute(statement)
    for table in TABLES:
        close(table)
        op.execute(f"create index {table.split('.')[1]}_fetched_at_idx on {table} (fetched_at)")
    put(revision, *COMMENTS)


def downgrade() -> None:
    """Drop the mirrors; their content can be fetched again."""
    take_back(revision, *COMMENTS)
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
