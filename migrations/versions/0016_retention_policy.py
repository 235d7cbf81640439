"""Let policy rows lengthen retention, and legal holds name customers and spans of time.

Why: an owner who wants rows longer must not wait for a release, and a case is about a customer or a
quarter as often as about a conversation.
Locks: ocd.legal_hold for an instant, to add columns without a default; the other table is new.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

POLICY = """
    create table ocd.retention_policy (
      id bigint generated always as identity primary key,
      dataset text not null check (btrim(dataset) <> ''),
      rule text not null check (btrim(rule) <> ''),
      keep_days integer not null check (keep_days > 0),
      reason text not null check (btrim(reason) <> ''),
      set_by text not null check (btrim(set_by) <> ''),
      set_at timestamptz not null default clock_timestamp(),
      unset_by text check (btrim(unset_by) <> ''),
      unset_at timestamptz,
      constraint retention_policy_unset_check check ((unset_by is null) = (unset_at is null))
    )
"""
POLICY_KEY = """
    create unique index retention_policy_open_key on ocd.retention_policy (dataset, rule) where unset_at is null
"""
HOLD = """
    alter table ocd.legal_hold
      add column customer_id text check (btrim(customer_id) <> ''),
      add column held_from timestamptz,
      add column held_until timestamptz,
      add constraint legal_hold_span_check check (held_from < held_until)
"""
# Whoever holds the same again changes nothing; the same conversation in another quarter is another hold.
HOLD_KEY = """
    create unique index legal_hold_open_key on ocd.legal_hold (dataset, conversation_id, customer_id, held_from, held_until)
      nulls not distinct where released_at is null
"""
OLD_HOLD_KEY = """
    create unique index legal_hold_open_key on ocd.legal_hold (dataset, coalesce(conversation_id, ''))
      where released_at is null
"""

COMMENTS = {
    "table ocd.retention_policy": "Retention that owners lengthened; no row can shorten what the code says.",
    "column ocd.retention_policy.rule": "The rule of the dataset whose rows are kept longer.",
    "column ocd.retention_policy.keep_days": "Days that its rows are kept, instead of the rule''s own.",
    "column ocd.retention_policy.unset_at": "When the rule''s own period began to count again; null while this one does.",
    "column ocd.legal_hold.conversation_id": "Only rows of this conversation; null for those of any.",
    "column ocd.legal_hold.customer_id": "Only rows of this customer; null for those of any.",
    "column ocd.legal_hold.held_from": "Only rows whose event time is not before; null for no such end.",
    "column ocd.legal_hold.held_until": "Only rows whose event time is before; null for no such end.",
}


def upgrade() -> None:
    """Create the table and widen the other; the worker sets and unsets, nobody deletes."""
    op.execute(POLICY)
    op.execute(POLICY_KEY)
    op.execute(HOLD)
    op.execute("drop index ocd.legal_hold_open_key")
    op.execute(HOLD_KEY)
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute("grant select on ocd.retention_policy to ocd_worker, ocd_reader")
    op.execute("grant insert, update on ocd.retention_policy to ocd_worker")


def downgrade() -> None:
    """Drop the table; an open hold that the older table cannot say becomes one of every row."""
    op.execute("drop index ocd.legal_hold_open_key")
    op.execute("""
        update ocd.legal_hold h set released_by = 'downgrade', released_at = clock_timestamp()
        where released_at is null and exists (
          select from ocd.legal_hold o where o.released_at is null and o.dataset = h.dataset and o.id < h.id
            and coalesce(case when coalesce(o.customer_id, o.held_from::text, o.held_until::text) is null then o.conversation_id end, '')
              = coalesce(case when coalesce(h.customer_id, h.held_from::text, h.held_until::text) is null then h.conversation_id end, ''))
    """)
    op.execute("""
        update ocd.legal_hold set conversation_id = null
        where released_at is null and coalesce(customer_id, held_from::text, held_until::text) is not null
    """)
    op.execute(
        "alter table ocd.legal_hold drop column customer_id, drop column held_from, drop column held_until"
    )
    op.execute(OLD_HOLD_KEY)
    op.execute(
        "comment on column ocd.legal_hold.conversation_id is "
        "'The conversation that is held; null for every row of the dataset.'"
    )
    op.execute("drop table ocd.retention_policy")
