"""Create the metric views, and what the nightly figures are made from and kept in.

Why: tiles ask how long the approval queue is, how good and fast the agents answer, what the drafts
are worth as training data, how far judging has come and whether decisions reach the outside. Each
answer is one view, which runs with its reader's rights. Figures ask for facts of one kind and for
orders by time, so that a night costs the same however many rows there are. A fact says its level and
its specification; metrics are named in one word each, as the specifications name them.
Locks: SHARE on dashboard_facts and shopify_orders while the indexes are built; ACCESS EXCLUSIVE on
metric_facts for an instant, to add columns that are null or constant.
"""

from alembic import op

from migrations.replaceable import put, take_back

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OBJECTS = (
    "views/approval_queue_depth",
    "views/agent_response_accuracy",
    "views/agent_performance_snapshot",
    "views/training_data_quality",
    "views/annotation_progress",
    "views/decision_sync_health",
    "views/sla_breaches",
    "views/shop_sessions",
    "views/stock_and_sales",
    "comments/dashboard",
)
INDEXES = {
    "public.dashboard_facts_type_idx": "public.dashboard_facts (fact_type, created_at desc)",
    "landing.shopify_orders_ordered_idx": "landing.shopify_orders (created_at desc)",
}


def upgrade() -> None:
    """Create the views, indexes and columns; rename the metrics."""
    for name, columns in INDEXES.items():
        op.execute(f"create index {name.split('.')[1]} on {columns}")
    op.execute("""
        alter table public.metric_facts
          add column level text constraint metric_facts_level_check check (level in ('ok', 'warn', 'crit')),
          add column spec jsonb not null default '{}'
    """)
    op.execute("update public.metric_facts set metric = replace(metric, '.', '_')")
    put(revision, *OBJECTS)


def downgrade() -> None:
    """Drop the views, indexes and columns; rename the metrics back."""
    op.execute(
        "update public.metric_facts set metric = regexp_replace(metric, '^(agent|feedback|support)_', '\\1.')"
    )
    op.execute("alter table public.metric_facts drop column level, drop column spec")
    take_back(revision, *OBJECTS)
    for name in INDEXES:
        op.execute(f"drop index {name}")
