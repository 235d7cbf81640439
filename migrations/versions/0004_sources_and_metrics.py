"""Create the mirrors of GA4 and sitemaps, and the metric facts.

Why: refreshed data needs a place that says where each part came from (origin, run) and replaces it
whole; a metric of a period is one row, however often it is computed.
Locks: none, the tables are new.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = [
    """
    create table landing.ga_partition (
      id bigint generated always as identity primary key,
      property text not null,
      report text not null,
      day date not null,
      origin text not null check (origin in ('live', 'recorded')),
      fetched_at timestamptz not null,
      run_id bigint not null,
      row_count integer not null,
      time_zone text,
      currency text,
      is_provisional boolean not null,
      is_thresholded boolean not null default false,
      is_sampled boolean not null default false,
      has_other_row boolean not null default false,
      has_data_loss boolean not null default false,
      unique (property, report, day)
    )
    """,
    """
    create table landing.ga_row (
      partition_id bigint not null references landing.ga_partition (id) on delete cascade,
      row_number integer not null,
      dimensions jsonb not null,
      metrics jsonb not null,
      primary key (partition_id, row_number)
    )
    """,
    """
    create table landing.sitemap_snapshot (
      id bigint generated always as identity primary key,
      site text not null,
      source_url text not null,
      taken_at timestamptz not null,
      run_id bigint not null,
      previous_id bigint references landing.sitemap_snapshot (id),
      file_count integer not null,
      url_count integer not null,
      duplicate_count integer not null,
      bytes_read bigint not null,
      content_sha256 text not null,
      is_lastmod_uniform boolean not null,
      warnings jsonb not null default '[]',
      added_count integer,
      removed_count integer,
      changed_count integer
    )
    """,
    "create index sitemap_snapshot_site_idx on landing.sitemap_snapshot (site, id desc)",
    "create index sitemap_snapshot_previous_id_idx on landing.sitemap_snapshot (previous_id)",
    """
    create table landing.sitemap_url (
      id bigint generated always as identity primary key,
      site text not null,
      loc text not null,
      fingerprint text not null,
      lastmod_raw text,
      lastmod_at timestamptz,
      first_snapshot_id bigint not null references landing.sitemap_snapshot (id),
      gone_snapshot_id bigint references landing.sitemap_snapshot (id)
    )
    """,
    "comment on column landing.sitemap_url.gone_snapshot_id is 'First snapshot in which this version no longer stood; null while it stands.'",
    "create unique index sitemap_url_current_idx on landing.sitemap_url (site, loc) where gone_snapshot_id is null",
    "create index sitemap_url_first_snapshot_idx on landing.sitemap_url (first_snapshot_id)",
    "create index sitemap_url_gone_snapshot_idx on landing.sitemap_url (gone_snapshot_id)",
    """
    create table public.metric_facts (
      id bigint generated always as identity primary key,
      metric text not null,
      scope text not null default '',
      period_start timestamptz not null,
      period_end timestamptz not null,
      value numeric,
      unit text not null,
      inputs jsonb not null default '{}',
      reason text,
      run_id bigint not null,
      computed_at timestamptz not null,
      unique (metric, scope, period_start, period_end),
      constraint metric_facts_reason_check check (value is not null or reason is not null)
    )
    """,
]

COMMENTS = {
    "landing.ga_partition": "One GA4 report of one property on one day: origin, quality flags, the run that fetched it.",
    "landing.ga_row": "Rows of a partition, positional values named.",
    "landing.sitemap_snapshot": "One reading of a site''s sitemap.",
    "landing.sitemap_url": "History of each URL: a row per version, so that only changes are stored.",
    "public.metric_facts": "One value per (metric, scope, period), with the inputs it was computed from.",
}


def upgrade() -> None:
    """Create them; only the worker writes, nobody but staff roles reads."""
    for statement in TABLES:
        op.execute(statement)
    for table, comment in COMMENTS.items():
        op.execute(f"comment on table {table} is '{comment}'")
    op.execute("alter table public.metric_facts enable row level security")
    op.execute("alter table public.metric_facts force row level security")
    op.execute(
        "create policy read_metrics on public.metric_facts for select to ocd_reader using (true)"
    )
    op.execute("revoke all on public.metric_facts from anon, authenticated")
    op.execute("grant select, insert, update, delete on all tables in schema landing to ocd_worker")
    op.execute(
        "grant select, insert, update, delete on public.metric_facts to ocd_worker, service_role"
    )
    op.execute("grant select on all tables in schema landing to ocd_reader")
    op.execute("grant select on public.metric_facts to ocd_reader")


def downgrade() -> None:
    """Drop them; their content can be fetched and computed again."""
    for table in (
        "public.metric_facts",
        "landing.sitemap_url",
        "landing.sitemap_snapshot",
        "landing.ga_row",
        "landing.ga_partition",
    ):
        op.execute(f"drop table {table}")
