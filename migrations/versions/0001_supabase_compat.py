"""Make plain PostgreSQL look enough like Supabase, and make our own room.

Why: the same migrations run on Supabase and on plain PostgreSQL. What Supabase has is created only
where it is missing; nothing of Supabase's is ever replaced. `ocd.created_object` remembers what
these migrations made, so that a downgrade never drops what was there before them.
Locks: none on user tables.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROLES = """
do $$ begin
  if to_regrole('anon') is null then create role anon nologin; end if;
  if to_regrole('authenticated') is null then create role authenticated nologin; end if;
  if to_regrole('service_role') is null then
    create role service_role nologin;
    begin
      alter role service_role bypassrls;
    exception when insufficient_privilege then
      raise notice 'service_role: BYPASSRLS needs a superuser';
    end;
  end if;
  if to_regrole('ocd_worker') is null then
    create role ocd_worker nologin;
    begin
      alter role ocd_worker bypassrls;
    exception when insufficient_privilege then
      raise notice 'ocd_worker: BYPASSRLS needs a superuser';
    end;
  end if;
  if to_regrole('ocd_reader') is null then create role ocd_reader nologin; end if;
end $$
"""

_AUTH = """
do $$ begin
  if to_regnamespace('auth') is null then
    create schema auth;
    grant usage on schema auth to anon, authenticated, service_role, ocd_worker;
  end if;
  if to_regprocedure('auth.jwt()') is null then
    execute $f$
      create function auth.jwt() returns jsonb language sql stable set search_path = '' as
      'select nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb'
    $f$;
  end if;
  if to_regprocedure('auth.uid()') is null then
    execute $f$
      create function auth.uid() returns uuid language sql stable set search_path = '' as
      'select (nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> ''sub'')::uuid'
    $f$;
  end if;
  if to_regprocedure('auth.role()') is null then
    execute $f$
      create function auth.role() returns text language sql stable set search_path = '' as
      'select nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> ''role'''
    $f$;
  end if;
end $$
"""


def upgrade() -> None:
    """Create what Supabase has, where it is missing, and the schemas ocd and landing."""
    op.execute(_ROLES)
    op.execute(_AUTH)
    op.execute("""
        create table ocd.created_object (
          revision text not null,
          kind text not null check (kind in ('table', 'column', 'index', 'policy', 'trigger', 'constraint')),
          name text not null,
          on_table text,
          created_at timestamptz not null default now()
        )
    """)
    op.execute(
        "comment on table ocd.created_object is 'What a migration created in somebody else''s schema; a downgrade drops only this.'"
    )
    op.execute("create schema landing")
    op.execute(
        "comment on schema landing is 'Raw mirrors of outside payloads; no checks, so that quality rules can find faults.'"
    )
    op.execute("revoke all on schema ocd, landing from public, anon, authenticated")
    op.execute("grant usage on schema ocd, landing to ocd_worker, ocd_reader")


def downgrade() -> None:
    """Remove our room; the Supabase roles and functions stay, others may lean on them."""
    op.execute("revoke all on schema ocd from ocd_worker, ocd_reader")
    op.execute("drop schema landing")
    op.execute("drop table ocd.created_object")
