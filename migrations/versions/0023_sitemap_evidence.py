"""Keep what a sitemap reading is made of: its files, sampled pages, and readings that were not believed.

Why: an unchanged file is not sent again (ETag), so the copy and its validators must be known; a page
that answers "not found" with status 200 is worth a look; a reading that lost a third of the shop must
be seen beside the others without counting as one.
Readings become a dataset, so that their freshness is measured like that of every other table.
Locks: ACCESS EXCLUSIVE on the two sitemap tables for an instant; new columns have constant defaults.
"""

from alembic import op

from migrations.replaceable import put, take_back

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

COLUMNS = (
    """
    alter table landing.sitemap_snapshot
      add column lastmod_only_count integer,
      -- squawk-ignore adding-field-with-default
      add column not_modified_count integer not null default 0,
      -- squawk-ignore adding-field-with-default
      add column soft_404_count integer not null default 0,
      -- squawk-ignore adding-field-with-default
      add column hosts text[] not null default '{}'
    """,
    """
    alter table landing.sitemap_url
      add column image_loc text,
      add column image_title text
    """,
)

TABLES = (
    """
    create table landing.sitemap_file (
      id bigint generated always as identity primary key,
      snapshot_id bigint not null references landing.sitemap_snapshot (id) on delete cascade,
      loc text not null,
      path_key text not null,
      url_count integer not null,
      sha256 text not null,
      bytes_wire bigint not null,
      bytes_plain bigint not null,
      is_not_modified boolean not null,
      etag text,
      last_modified text,
      unique (snapshot_id, loc)
    )
    """,
    """
    create table landing.sitemap_page (
      id bigint generated always as identity primary key,
      snapshot_id bigint not null references landing.sitemap_snapshot (id) on delete cascade,
      loc text not null,
      verdict text not null check (verdict in ('found', 'gone', 'soft_404', 'unreachable')),
      http_status integer,
      reason text not null,
      unique (snapshot_id, loc)
    )
    """,
    """
    create table landing.sitemap_held (
      id bigint generated always as identity primary key,
      site text not null,
      taken_at timestamptz not null,
      run_id bigint not null,
      standing_id bigint not null references landing.sitemap_snapshot (id),
      url_count integer not null,
      added_count integer not null,
      removed_count integer not null,
      reason text not null
    )
    """,
    "create index sitemap_held_site_idx on landing.sitemap_held (site, id desc)",
    "create index sitemap_held_standing_id_idx on landing.sitemap_held (standing_id)",
)

NEW = ("landing.sitemap_file", "landing.sitemap_page", "landing.sitemap_held")
OBJECTS = ("access/sitemap_snapshot", "comments/sitemaps")


def upgrade() -> None:
    """Add the columns and tables; readings get row security like every dataset."""
    for statement in (*COLUMNS, *TABLES):
        op.execute(statement)
    for table in NEW:
        op.execute(f"grant select, insert, update, delete on {table} to ocd_worker")
        op.execute(f"grant select on {table} to ocd_reader")
    op.execute("alter table landing.sitemap_snapshot enable row level security")
    op.execute("alter table landing.sitemap_snapshot force row level security")
    put(revision, *OBJECTS)


def downgrade() -> None:
    """Forget files, pages and held readings; snapshots and history stay."""
    take_back(revision, *OBJECTS)
    op.execute("alter table landing.sitemap_snapshot no force row level security")
    op.execute("alter table landing.sitemap_snapshot disable row level security")
    for table in NEW:
        op.execute(f"drop table {table}")
    op.execute("alter table landing.sitemap_url drop column image_title, drop column image_loc")
    op.execute("""
        alter table landing.sitemap_snapshot drop column hosts, drop column soft_404_count,
          drop column not_modified_count, drop column lastmod_only_count
    """)
