"""Give GA4 a quota ledger, counts of its use, and a memory of what Google restated.

Why: all workers share a property's quotas, so what is left of them stands where all of them look
before they ask. A day that is read again is compared with what stood there, and the difference kept.
Partitions become a dataset, so that their freshness is measured like that of every other table.
Tiles ask for the last seven days against the seven before, by landing page.
Locks: ACCESS EXCLUSIVE on landing.ga_partition for an instant.
"""

from alembic import op

from migrations.replaceable import put, take_back

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

OBJECTS = ("access/ga_partition", "comments/ga4", "views/landing_page_weeks")
TABLES = {
    "landing.ga_quota": """
      property text not null,
      quota text not null,
      remaining integer not null,
      as_of timestamptz not null,
      blocked_until timestamptz,
      primary key (property, quota)
    """,
    "landing.ga_request": """
      id bigint generated always as identity primary key,
      property text not null,
      report text not null,
      run_id bigint not null,
      tokens integer not null,
      sent_at timestamptz not null,
      forgotten_at timestamptz not null
    """,
    "landing.ga_usage": """
      property text not null,
      hour timestamptz not null,
      requests integer not null,
      refused integer not null,
      server_errors integer not null,
      failed integer not null,
      slow integer not null,
      latency_ms bigint not null,
      longest_ms integer not null,
      slices_read integer not null,
      slices_kept integer not null,
      primary key (property, hour)
    """,
    "landing.ga_restatement": """
      id bigint generated always as identity primary key,
      property text not null,
      report text not null,
      day date not null,
      run_id bigint not null,
      fetched_before_at timestamptz not null,
      fetched_at timestamptz not null,
      rows_before integer not null,
      rows_after integer not null,
      totals_before jsonb not null,
      totals_after jsonb not null
    """,
}

INDEXES = {
    "ga_request_property_idx": ("landing.ga_request", "property"),
    "ga_restatement_day_idx": ("landing.ga_restatement", "property, report, day"),
}


def upgrade() -> None:
    """Create them; only the worker writes, the reader reads. Partitions get row security like every dataset."""
    op.execute("""
        alter table landing.ga_partition
          add column content_sha256 text,
          add column totals jsonb,
          add column tokens integer,
          add column restated_at timestamptz
    """)
    op.execute("alter table landing.ga_partition enable row level security")
    op.execute("alter table landing.ga_partition force row level security")
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"grant select, insert, update, delete on {table} to ocd_worker")
        op.execute(f"grant select on {table} to ocd_reader")
    for name, (table, columns) in INDEXES.items():
        op.execute(f"create index {name} on {table} ({columns})")
    put(revision, *OBJECTS)


def downgrade() -> None:
    """Drop them; partitions stay."""
    take_back(revision, *OBJECTS)
    op.execute("alter table landing.ga_partition no force row level security")
    op.execute("alter table landing.ga_partition disable row level security")
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
    op.execute("""
        alter table landing.ga_partition
          drop column restated_at, drop column tokens, drop column totals, drop column content_sha256
    """)
