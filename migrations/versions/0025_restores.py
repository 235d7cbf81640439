"""Create restore requests: what a person wants back, until it is back.

Why: a condition that a person types may name a customer. The ledger keeps a run's arguments for ever, so
the run carries the request's number only, and the condition is forgotten when the run has ended well.
A restore into an empty database has to move each table's counter behind the ids that came back; the
worker may do that from now on.
Locks: none that anybody waits for; the table is new, rights on sequences change for an instant.
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLE = """
    create table ocd.restore_request (
      id bigint generated always as identity primary key,
      source text not null check (source in ('backup', 'purge')),
      name text not null check (btrim(name) <> ''),
      dataset text check (btrim(dataset) <> ''),
      condition text check (btrim(condition) <> ''),
      target text not null check (target in ('live', 'scratch')),
      confirmed_database text check (btrim(confirmed_database) <> ''),
      is_held boolean not null,
      requested_by text not null check (btrim(requested_by) <> ''),
      requested_at timestamptz not null default clock_timestamp(),
      finished_at timestamptz,
      constraint restore_request_forgotten_check check (finished_at is null or condition is null)
    )
"""

COMMENTS = {
    "table ocd.restore_request": "What a person wants back from a backup or a purge, until it is back.",
    "column ocd.restore_request.id": "Identity; all that the run carries.",
    "column ocd.restore_request.source": "backup or purge.",
    "column ocd.restore_request.name": "Folder of the backup in the store, or number of the purge run.",
    "column ocd.restore_request.dataset": "The one dataset to bring back; null for all.",
    "column ocd.restore_request.condition": "Which of its rows, as SQL; forgotten at the end, for it may name a person.",
    "column ocd.restore_request.target": "live or scratch.",
    "column ocd.restore_request.confirmed_database": "The database that the person named, for live; no other is written to.",
    "column ocd.restore_request.is_held": "Whether purged rows that came back are held, so that the next purge leaves them.",
    "column ocd.restore_request.requested_by": "Who wants it.",
    "column ocd.restore_request.requested_at": "Since when.",
    "column ocd.restore_request.finished_at": "When it was done, dry or real; null while it is open.",
}

#: The tables whose ids a restore brings back, and the key that is counted.
COUNTED = (
    "public.agent_approvals",
    "public.agent_feedback",
    "public.agent_queries",
    "public.agent_run",
    "public.agent_qc",
    "public.decision_sync_event_logs",
    "public.decision_log",
    "public.observability_logs",
    "public.facts",
    "public.dashboard_facts",
    "public.metric_facts",
    "public.gold_reply_submissions",
    "public.support_curated_replies",
    "public.product_categories",
    "public.customer_segments",
    "landing.chatwoot_conversations",
    "landing.chatwoot_messages",
    "landing.shopify_orders",
    "landing.shopify_order_lines",
    "landing.shopify_inventory",
)
_TABLES = ", ".join(f"'{one}'" for one in COUNTED)


def _counting(change: str) -> str:
    """A statement for each counter, whatever its name is; an adopted table may have none."""
    return f"""
        do $$ declare named text; counter text; begin
          foreach named in array array[{_TABLES}] loop
            counter := pg_get_serial_sequence(named, 'id');
            if counter is not null then execute '{change.format(counter="' || counter || '")}'; end if;
          end loop;
        end $$
    """


def upgrade() -> None:
    """Create the table; let the worker move counters."""
    op.execute(TABLE)
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute("grant select, insert, update on ocd.restore_request to ocd_worker")
    op.execute(_counting("grant update on sequence {counter} to ocd_worker"))


def downgrade() -> None:
    """Drop the table with every open request; take the right to move counters back."""
    op.execute(_counting("revoke update on sequence {counter} from ocd_worker"))
    op.execute("drop table ocd.restore_request")
