"""Create legal holds: what must not be deleted, whatever its age, until somebody releases it.

Why: a dispute outlasts any retention period, and a purge that runs every night cannot be told by
word of mouth.
Locks: none, the table is new.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = """
    create table ocd.legal_hold (
      id bigint generated always as identity primary key,
      dataset text not null check (btrim(dataset) <> ''),
      conversation_id text check (btrim(conversation_id) <> ''),
      reason text not null check (btrim(reason) <> ''),
      placed_by text not null check (btrim(placed_by) <> ''),
      placed_at timestamptz not null default clock_timestamp(),
      released_by text check (btrim(released_by) <> ''),
      released_at timestamptz,
      constraint legal_hold_release_check check ((released_by is null) = (released_at is null))
    )
"""

COMMENTS = {
    "table ocd.legal_hold": "What must not be deleted until it is released, whatever its age.",
    "column ocd.legal_hold.conversation_id": "The conversation that is held; null for every row of the dataset.",
}


def upgrade() -> None:
    """Create the table; the worker places and releases, nobody deletes."""
    op.execute(TABLE)
    op.execute("""
        create unique index legal_hold_open_key on ocd.legal_hold (dataset, coalesce(conversation_id, ''))
          where released_at is null
    """)
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute("grant select on ocd.legal_hold to ocd_worker, ocd_reader")
    op.execute("grant insert, update on ocd.legal_hold to ocd_worker")


def downgrade() -> None:
    """Drop the table with every hold, released or not."""
    op.execute("drop table ocd.legal_hold")
