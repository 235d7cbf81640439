"""Make the roles, and open each table to whom it is meant for, row by row.

Why: rights are roles of the database, not words in a token: a policy that asks a claim for the role
never meets a real one. Each table has one file that says grants and policies together; the facts of
`ocd.datasets` say the same, and a test compares both with the live catalog.
Existing policies of somebody else on the agent tables are refused by name: several permissive
policies add up, so one forgotten one would open what ours close.
Locks: ACCESS EXCLUSIVE on each table for an instant, to change its policies.
"""

from alembic import op
from sqlalchemy import text

from migrations.replaceable import put, take_back
from migrations.tables import AdoptionRefused, is_offline

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = (
    "agent_approvals",
    "agent_feedback",
    "agent_queries",
    "agent_run",
    "agent_qc",
    "decision_sync_event_logs",
    "decision_log",
    "observability_logs",
    "facts",
    "dashboard_facts",
    "metric_facts",
    "gold_reply_submissions",
    "support_curated_replies",
    "product_categories",
    "customer_segments",
    "chatwoot_conversations",
    "chatwoot_messages",
    "shopify_orders",
    "shopify_order_lines",
    "shopify_inventory",
)
OBJECTS = (
    *(f"access/{table}" for table in TABLES),
    "functions/execute_rights",
    "views/decision_sync_events",
    "views/landing_page_sessions",
)

#: Roles of ours; Supabase's `authenticated` can do what it can in schema public already.
OURS = (
    "ai_readonly, analytics_reader, annotator, monitoring_team, operator_readonly, qa_team, "
    "support_webhook"
)
#: Roles that PostgREST's login, or ours for the API, switches to.
SWITCHED = f"authenticated, {OURS}"

# Roles belong to the whole server, so other databases may lean on them: a downgrade leaves them.
_ROLES = f"""
do $$ declare name text; login text; begin
  foreach name in array string_to_array('{SWITCHED}', ', ') loop
    if to_regrole(name) is null then execute format('create role %I nologin', name); end if;
  end loop;
  -- NOINHERIT: the login itself has no rights, only those of the role it switches to.
  if to_regrole('ocd_api') is null then create role ocd_api nologin noinherit; end if;
  foreach login in array array['ocd_api', 'authenticator'] loop
    if to_regrole(login) is null then continue; end if;
    foreach name in array string_to_array('{SWITCHED}', ', ') loop
      begin
        if not pg_has_role(login, name, 'member') then execute format('grant %I to %I', name, login); end if;
      exception when insufficient_privilege then
        raise notice '%: grant it to % as its owner', name, login;
      end;
    end loop;
  end loop;
end $$
"""

_FOREIGN = """
select tablename, policyname from pg_policies
where schemaname = 'public' and tablename in ('agent_approvals', 'agent_feedback', 'agent_queries')
  and policyname <> 'own_conversation'
order by 1, 2
"""


def _refuse_foreign_policies() -> None:
    if is_offline():
        return
    found = op.get_bind().execute(text(_FOREIGN)).all()
    if found:
        raise AdoptionRefused(
            "policies on the agent tables that ocd does not know would add to its own; drop them:\n  - "
            + "\n  - ".join(f'drop policy "{policy}" on public.{table}' for table, policy in found)
        )


def upgrade() -> None:
    """Make the roles and say who may do what."""
    _refuse_foreign_policies()
    op.execute(_ROLES)
    op.execute(f"grant usage on schema public to {OURS}")
    put(revision, *OBJECTS)


def downgrade() -> None:
    """Take every right back that was given here; the roles stay."""
    take_back(revision, *OBJECTS)
    op.execute(f"revoke usage on schema public from {OURS}")
