"""Create the tables of agent runs, decisions, logs and facts.

Why: what agents cost, what people decided, how decisions reached the outside, and the numbers that
the panel shows had no table that a database holds to its shape. A status comes in many spellings;
a trigger brings each to one of three words and keeps the sender's own.
Locks: none, the tables are new.
"""

from alembic import op

from migrations.replaceable import put, take_back
from migrations.tables import close, refuse_existing, refuse_rows

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = {
    "public.agent_run": """
    create table public.agent_run (
      id bigint generated always as identity primary key,
      run_id uuid not null unique,
      agent_name text not null check (btrim(agent_name) <> ''),
      started_at timestamptz not null default now(),
      ended_at timestamptz,
      input_kind text,
      resolution text check (resolution in ('resolved', 'escalated', 'failed')),
      tokens_input integer check (tokens_input >= 0),
      tokens_output integer check (tokens_output >= 0),
      cost_usd numeric(10,5) check (cost_usd >= 0),
      self_corrected boolean not null default false,
      sla_target_seconds integer check (sla_target_seconds > 0),
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      constraint agent_run_ended_check check ((ended_at is null) = (resolution is null)),
      constraint agent_run_order_check check (ended_at >= started_at)
    )
    """,
    # No cascade: a mark would vanish without an archive.
    "public.agent_qc": """
    create table public.agent_qc (
      id bigint generated always as identity primary key,
      run_id uuid not null references public.agent_run (run_id),
      quality_score smallint not null check (quality_score between 1 and 5),
      notes text,
      created_at timestamptz not null default now()
    )
    """,
    "public.decision_sync_event_logs": """
    create table public.decision_sync_event_logs (
      id bigint generated always as identity primary key,
      decision_id bigint not null,
      status text not null check (status in ('success', 'failure', 'unknown')),
      raw_status text not null,
      duration_ms numeric(10,2) check (duration_ms >= 0),
      error_code text,
      attempt integer not null default 1 check (attempt >= 1),
      scope text not null default 'ops' check (scope in ('ops', 'cx', 'analytics', 'build')),
      notes text,
      payload jsonb not null default '{}',
      created_at timestamptz not null default now(),
      constraint decision_sync_event_logs_attempt_key unique (decision_id, attempt, created_at)
    )
    """,
    "public.decision_log": """
    create table public.decision_log (
      id bigint generated always as identity primary key,
      scope text not null check (scope in ('build', 'ops')),
      actor text not null check (btrim(actor) <> ''),
      action text not null check (btrim(action) <> ''),
      rationale text,
      evidence_url text,
      shop_domain text,
      external_ref text check (external_ref ~ '^[a-z0-9_]+:.'),
      source_id text unique,
      payload jsonb not null default '{}' check (jsonb_typeof(payload) = 'object'),
      created_at timestamptz not null default now()
    )
    """,
    "public.observability_logs": """
    create table public.observability_logs (
      id bigint generated always as identity primary key,
      level text not null default 'INFO' check (level in ('INFO', 'WARN', 'ERROR')),
      message text not null,
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      request_id text,
      user_agent text,
      created_at timestamptz not null default now()
    )
    """,
    "public.facts": """
    create table public.facts (
      id bigint generated always as identity primary key,
      project text not null default 'occ' check (btrim(project) <> ''),
      topic text not null check (btrim(topic) <> ''),
      key text not null check (btrim(key) <> ''),
      value jsonb not null check (jsonb_typeof(value) <> 'null'),
      created_at timestamptz not null default now()
    )
    """,
    "public.dashboard_facts": """
    create table public.dashboard_facts (
      id bigint generated always as identity primary key,
      shop_domain text not null check (btrim(shop_domain) <> ''),
      fact_type text not null check (fact_type ~ '^[a-z0-9_]+([.][a-z0-9_]+)+$'),
      scope text not null default '',
      period_start timestamptz,
      period_end timestamptz,
      value jsonb not null check (jsonb_typeof(value) <> 'null'),
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      evidence_url text,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint dashboard_facts_period_check check
        ((period_start is null) = (period_end is null) and period_start < period_end)
    )
    """,
}

INDEXES = [
    "create index agent_run_agent_started_at_idx on public.agent_run (agent_name, started_at desc)",
    "create index agent_run_started_at_idx on public.agent_run (started_at desc)",
    "create index agent_qc_run_id_idx on public.agent_qc (run_id)",
    "create index agent_qc_created_at_idx on public.agent_qc (created_at desc)",
    "create index decision_sync_event_logs_created_at_idx on public.decision_sync_event_logs (created_at desc)",
    "create index decision_sync_event_logs_scope_idx on public.decision_sync_event_logs (scope, created_at desc)",
    "create index decision_log_scope_idx on public.decision_log (scope, created_at desc)",
    "create index decision_log_created_at_idx on public.decision_log (created_at desc)",
    """
    create index decision_log_external_ref_idx on public.decision_log (external_ref, created_at)
      where external_ref is not null
    """,
    "create index observability_logs_created_at_idx on public.observability_logs (created_at desc)",
    "create index observability_logs_level_idx on public.observability_logs (level, created_at desc)",
    "create index observability_logs_request_id_idx on public.observability_logs (request_id)",
    "create index facts_project_idx on public.facts (project, topic, key, created_at desc)",
    "create index facts_created_at_idx on public.facts (created_at desc)",
    """
    create index dashboard_facts_shop_idx
      on public.dashboard_facts (shop_domain, fact_type, created_at desc)
    """,
    "create index dashboard_facts_created_at_idx on public.dashboard_facts (created_at desc)",
    # A number of a period is one row, however often it is refreshed.
    """
    create unique index dashboard_facts_period_key
      on public.dashboard_facts (shop_domain, fact_type, scope, period_start, period_end)
      where period_end is not null
    """,
]

TRIGGERS = [
    """
    create trigger normalise_sync_status before insert on public.decision_sync_event_logs
      for each row execute function ocd.normalise_sync_status()
    """,
    """
    create trigger touch_updated_at before update on public.dashboard_facts
      for each row execute function ocd.touch_updated_at()
    """,
]

OBJECTS = ("functions/normalise_sync_status",)
COMMENTS = ("comments/agents", "comments/decisions", "comments/dashboard")


def upgrade() -> None:
    """Create the tables, closed to everybody; revision 0009 opens them."""
    refuse_existing(TABLES)
    put(revision, *OBJECTS)
    for statement in (*TABLES.values(), *INDEXES, *TRIGGERS):
        op.execute(statement)
    for table in TABLES:
        close(table)
    put(revision, *COMMENTS)


def downgrade() -> None:
    """Drop the tables; refuse while one holds rows."""
    refuse_rows(TABLES, revision)
    take_back(revision, *COMMENTS)
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
    take_back(revision, *OBJECTS)
