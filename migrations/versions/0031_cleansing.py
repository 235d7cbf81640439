"""Create what a cleansing leaves: its plans, and every old and new value until retention.

Why: a value that was mended wrongly has to come back as it was, and nothing is mended that nobody saw
planned. The changes hold what stood in the rows, personal data among it: only the worker reads them.
Locks: none that anybody waits for; the tables are new, the referenced one is read.
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLES = {
    "cleansing_plan": """
    create table ocd.cleansing_plan (
      hash text primary key check (hash ~ '^[0-9a-f]{16}$'),
      dataset text not null,
      fixes jsonb not null check (jsonb_typeof(fixes) = 'object' and fixes <> '{}'),
      counts jsonb not null,
      rows bigint not null check (rows > 0),
      of_rows bigint not null,
      last_key bigint not null,
      planned_by text not null,
      planned_at timestamptz not null default clock_timestamp()
    )
    """,
    "cleansing_change": """
    create table ocd.cleansing_change (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id),
      dataset text not null,
      row_key bigint not null,
      conversation_id text,
      before jsonb not null,
      after jsonb not null,
      changed_at timestamptz not null default clock_timestamp(),
      reverted_at timestamptz,
      reverted_by_run_id bigint references ocd.run (id),
      constraint cleansing_change_revert_check check ((reverted_at is null) = (reverted_by_run_id is null))
    )
    """,
}

INDEXES = [
    "create index cleansing_change_run_id_idx on ocd.cleansing_change (run_id, id)",
    "create index cleansing_change_conversation_id_idx on ocd.cleansing_change (conversation_id)",
    "create index cleansing_change_changed_at_idx on ocd.cleansing_change (changed_at)",
    """
    create index cleansing_change_reverted_by_run_id_idx on ocd.cleansing_change (reverted_by_run_id)
      where reverted_by_run_id is not null
    """,
]

COMMENTS = {
    "cleansing_plan": {
        "": "What a cleansing was planned to mend; it is applied by the hash.",
        "hash": "Names exactly this plan.",
        "fixes": "Each fix with the version that was planned.",
        "counts": "Rows that each fix mends.",
        "rows": "Rows that are mended.",
        "of_rows": "Rows that the table held.",
        "last_key": "Greatest key of a row that is mended.",
    },
    "cleansing_change": {
        "": "Every value that a cleansing mended, before and after, until it can no longer be taken back.",
        "id": "Identity.",
        "run_id": "The run that mended it.",
        "dataset": "Dataset of the row.",
        "row_key": "Key of the row.",
        "conversation_id": "Chatwoot conversation the row belongs to; null where its table knows none.",
        "before": "Each mended column as it was, as text.",
        "after": "Each mended column as it became, as text.",
        "changed_at": "When it was mended.",
        "reverted_at": "When it was taken back; null while it stands.",
        "reverted_by_run_id": "The run that took it back.",
    },
}


def upgrade() -> None:
    """Create the tables for the worker alone; whoever reads plans sees no values."""
    for statement in (*TABLES.values(), *INDEXES):
        op.execute(statement)
    op.execute("alter table ocd.cleansing_change enable row level security")
    op.execute("alter table ocd.cleansing_change force row level security")
    op.execute("grant select, insert on ocd.cleansing_plan to ocd_worker")
    op.execute("grant select on ocd.cleansing_plan to ocd_reader")
    op.execute("grant select, insert, update, delete on ocd.cleansing_change to ocd_worker")
    for table, comments in COMMENTS.items():
        for column, comment in comments.items():
            what = f"column ocd.{table}.{column}" if column else f"table ocd.{table}"
            op.execute(f"comment on {what} is '{comment}'")


def downgrade() -> None:
    """Drop the plans and the old values; what was mended stays mended."""
    for table in reversed(TABLES):
        op.execute(f"drop table ocd.{table}")
