"""Create approvals: what a run may not do by itself, what it asked for, and who said yes.

Why: a rule that nobody can ever overrule is worked around; one that anybody can overrule silently is
none. The question, the answer, its reason and its author stay.
Locks: none that anybody waits for; the table is new, the referenced one is read.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = """
    create table ocd.approval (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id),
      fingerprint text not null check (btrim(fingerprint) <> ''),
      asks jsonb not null check (jsonb_typeof(asks) = 'object' and asks <> '{}'),
      question text not null check (btrim(question) <> ''),
      requested_by text,
      asked_at timestamptz not null default clock_timestamp(),
      reason text check (btrim(reason) <> ''),
      approved_by text check (btrim(approved_by) <> ''),
      approved_at timestamptz,
      constraint approval_answer_check check (
        (approved_at is null) = (approved_by is null) and (approved_at is null) = (reason is null))
    )
"""

COMMENTS = {
    "table ocd.approval": "What a run may not do by itself, what it asked for, and who said yes.",
    "column ocd.approval.run_id": "The run that asked; the answer holds for it alone.",
    "column ocd.approval.fingerprint": "Of what exactly is asked, such as the hash of a predicate; a changed plan asks again.",
    "column ocd.approval.asks": "How much is asked, a number per limit; a later attempt may use as much, no more.",
    "column ocd.approval.question": "The same in words.",
    "column ocd.approval.requested_by": "Who ordered the run; null for one that beat ordered.",
    "column ocd.approval.reason": "Why it was approved; null while it is open.",
}


def upgrade() -> None:
    """Create the table; the worker asks and notes the answer, nobody deletes."""
    op.execute(TABLE)
    op.execute("create index approval_run_id_idx on ocd.approval (run_id)")
    op.execute("""
        create unique index approval_open_key on ocd.approval (run_id) where approved_at is null
    """)
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute("grant select on ocd.approval to ocd_worker, ocd_reader")
    op.execute("grant insert, update on ocd.approval to ocd_worker")


def downgrade() -> None:
    """Drop the table with every question and answer."""
    op.execute("drop table ocd.approval")
