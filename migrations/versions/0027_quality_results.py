"""Create the memory of quality checks, and gates that a failed check closes.

Why: a count without the ones before it says little; and what depends on a table has to know, without
asking the quality room, that the table is not fit to be worked on.
Locks: none that anybody waits for; both tables are new, the referenced one is read.
"""

from alembic import op

from migrations.replaceable import put, take_back
from migrations.tables import close, refuse_rows

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

RESULT = """
    create table ocd.quality_result (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id),
      checked_at timestamptz not null,
      dataset text not null,
      rule text not null,
      rule_version text not null,
      dimension text not null check (dimension in
        ('completeness', 'accuracy', 'consistency', 'timeliness', 'uniqueness', 'validity', 'volume')),
      severity text not null check (severity in ('info', 'warn', 'error', 'block')),
      status text not null check (status in ('passed', 'failed', 'proven', 'broken', 'waiting')),
      is_only_new boolean not null default false,
      asked_rows bigint not null check (asked_rows >= 0),
      failed_rows bigint not null check (failed_rows >= 0),
      share double precision not null check (share between 0 and 1),
      value double precision,
      usual_low double precision,
      usual_high double precision,
      is_unusual boolean not null default false,
      sample_keys bigint[] not null default '{}',
      high_key bigint,
      took_ms double precision not null,
      detail text
    )
"""
INDEXES = (
    "create index quality_result_rule_idx on ocd.quality_result (rule, checked_at desc)",
    "create index quality_result_dataset_idx on ocd.quality_result (dataset, checked_at desc)",
    "create index quality_result_checked_at_idx on ocd.quality_result (checked_at)",
    "create index quality_result_run_id_idx on ocd.quality_result (run_id)",
)
GATE = """
    create table ocd.gate (
      id bigint generated always as identity primary key,
      dataset text not null check (btrim(dataset) <> ''),
      cause text not null check (btrim(cause) <> ''),
      summary text not null check (btrim(summary) <> ''),
      run_id bigint not null references ocd.run (id),
      closed_at timestamptz not null default clock_timestamp(),
      opened_by bigint references ocd.run (id),
      opened_at timestamptz,
      constraint gate_opening_check check ((opened_by is null) = (opened_at is null))
    )
"""
COMMENTS = {
    "table ocd.gate": "Tables that nothing may purge, export, train on or feed, until a check finds them fit.",
    "column ocd.gate.dataset": "The table that is shut off.",
    "column ocd.gate.cause": "What closed it, such as a quality rule.",
    "column ocd.gate.summary": "The same in words, without values of rows.",
    "column ocd.gate.run_id": "The run that closed it.",
    "column ocd.gate.opened_by": "The run that found it fit again; null while it is closed.",
}
OBJECTS = ("comments/quality", "access/quality_result")


def upgrade() -> None:
    """Create both; the worker writes, results are never changed."""
    for statement in (RESULT, *INDEXES, GATE):
        op.execute(statement)
    op.execute("create index gate_run_id_idx on ocd.gate (run_id)")
    op.execute("create index gate_opened_by_idx on ocd.gate (opened_by)")
    op.execute("""
        create unique index gate_closed_key on ocd.gate (dataset, cause) where opened_at is null
    """)
    close("ocd.quality_result")
    put(revision, *OBJECTS)
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute("grant select on ocd.gate to ocd_worker, ocd_reader")
    op.execute("grant insert, update on ocd.gate to ocd_worker")


def downgrade() -> None:
    """Drop the gates with their history, and the results once they are purged or backed up."""
    refuse_rows(("ocd.quality_result",), revision)
    op.execute("drop table ocd.gate")
    take_back(revision, *OBJECTS)
    op.execute("drop table ocd.quality_result")
