"""Create what quality remembers: profiles of columns, completeness per hour, consistency.

Why: that a column changed its values, that an hour brought less than usual, or that two tables
drift apart is seen only against what was measured before.
Locks: none that anybody waits for; the tables are new, the referenced one is read.
"""

from alembic import op

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None

TABLES = {
    "column_profile": """
    create table ocd.column_profile (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id),
      dataset text not null,
      column_name text not null,
      rows bigint not null check (rows >= 0),
      nulls bigint not null,
      stats jsonb not null,
      profiled_at timestamptz not null,
      constraint column_profile_key unique (run_id, dataset, column_name),
      constraint column_profile_nulls_check check (nulls between 0 and rows)
    )
    """,
    "completeness": """
    create table ocd.completeness (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id),
      dataset text not null,
      hour_at timestamptz not null,
      seen bigint not null check (seen >= 0),
      expected numeric,
      least numeric,
      nulls jsonb not null,
      constraint completeness_key unique (dataset, hour_at),
      constraint completeness_least_check check ((expected is null) = (least is null))
    )
    """,
    "consistency": """
    create table ocd.consistency (
      id bigint generated always as identity primary key,
      run_id bigint references ocd.run (id),
      check_name text not null,
      checked bigint not null check (checked >= 0),
      broken bigint not null check (broken >= 0),
      sample_keys bigint[] not null,
      figures jsonb not null,
      checked_at timestamptz not null,
      constraint consistency_key unique (run_id, check_name)
    )
    """,
}

INDEXES = [
    "create index column_profile_newest_idx on ocd.column_profile (dataset, profiled_at desc)",
    "create index completeness_run_id_idx on ocd.completeness (run_id)",
    "create index consistency_newest_idx on ocd.consistency (check_name, checked_at desc)",
]

COMMENTS = {
    "column_profile": {
        "": "What each column looked like at each profile: aggregates, no values of people.",
        "id": "Identity.",
        "run_id": "The run that measured it.",
        "dataset": "Dataset that was profiled.",
        "column_name": "Column of it.",
        "rows": "Rows of the table.",
        "nulls": "Rows without a value.",
        "stats": "Further aggregates; values only where the column holds no personal data.",
        "profiled_at": "When.",
    },
    "completeness": {
        "": "How many rows each hour brought, and how many were expected.",
        "id": "Identity.",
        "run_id": "The run that counted.",
        "dataset": "Dataset that was counted.",
        "hour_at": "Begin of the hour that the rows belong to.",
        "seen": "Rows that are there.",
        "expected": "Rows that the same hour of earlier weeks lets expect; null while too few are known.",
        "least": "Fewer than this are unusually few.",
        "nulls": "Per column that may be null: how many of the rows lack a value.",
    },
    "consistency": {
        "": "What each check between tables found.",
        "id": "Identity.",
        "run_id": "The run that checked; null for a comparison by hand.",
        "check_name": "Reference, reconciliation or copy that was checked.",
        "checked": "Rows or figures that were compared.",
        "broken": "How many of them have no counterpart, or another value there.",
        "sample_keys": "Keys of some of the rows.",
        "figures": "The two sides of a reconciliation.",
        "checked_at": "When.",
    },
}


def upgrade() -> None:
    """Create the tables; the worker measures anew and purges, the reader reads."""
    for statement in (*TABLES.values(), *INDEXES):
        op.execute(statement)
    for table, comments in COMMENTS.items():
        op.execute(f"alter table ocd.{table} enable row level security")
        op.execute(f"alter table ocd.{table} force row level security")
        op.execute(f"grant select, insert, delete on ocd.{table} to ocd_worker")
        op.execute(f"grant select on ocd.{table} to ocd_reader")
        op.execute(
            f"create policy {table}_reader on ocd.{table} for select to ocd_reader using (true)"
        )
        for column, comment in comments.items():
            what = f"column ocd.{table}.{column}" if column else f"table ocd.{table}"
            op.execute(f"comment on {what} is '{comment}'")


def downgrade() -> None:
    """Drop the tables with what was measured; it cannot be measured again for the past."""
    for table in reversed(TABLES):
        op.execute(f"drop table ocd.{table}")
