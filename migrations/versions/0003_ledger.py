"""Create the ledger: what ran, for which window, with what outcome and proof.

Why: Celery delivers at least once and Redis forgets; PostgreSQL is the truth about every run.
Locks: none, the tables are new.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = [
    """
    create table ocd.run (
      id bigint generated always as identity primary key,
      job text not null,
      kind text not null default 'real' check (kind in ('real', 'dry')),
      window_start timestamptz not null,
      window_end timestamptz not null,
      window_label text not null,
      subject jsonb not null default '{}',
      params jsonb not null default '{}',
      flow text,
      queue text not null,
      trigger text not null check (trigger in ('schedule', 'manual', 'flow', 'backfill', 'celery')),
      requested_by text,
      generation integer not null default 1,
      state text not null check (state in
        ('waiting', 'queued', 'running', 'done', 'failed', 'refused', 'cancelled', 'dead')),
      attempt integer not null default 0,
      not_before timestamptz,
      deadline_at timestamptz,
      fence bigint not null default 0,
      lease_until timestamptz,
      worker text,
      cancel_requested_at timestamptz,
      progress_done bigint,
      progress_total bigint,
      progress_note text,
      checkpoint jsonb,
      rows bigint,
      evidence jsonb,
      error_class text,
      error_message text,
      created_at timestamptz not null default clock_timestamp(),
      queued_at timestamptz,
      published_at timestamptz,
      started_at timestamptz,
      finished_at timestamptz,
      constraint run_window_check check (window_start < window_end),
      constraint run_lease_check check ((state = 'running') = (lease_until is not null)),
      constraint run_finished_check check
        ((state in ('done', 'failed', 'refused', 'cancelled', 'dead')) = (finished_at is not null)),
      constraint run_evidence_size_check check (pg_column_size(evidence) <= 16384)
    )
    """,
    "create unique index run_identity on ocd.run (job, window_start, window_end, subject) where kind = 'real'",
    "create index run_open_idx on ocd.run (state, queued_at) where state in ('waiting', 'queued', 'running')",
    "create index run_job_window_idx on ocd.run (job, window_start desc)",
    "create index run_created_at_idx on ocd.run (created_at desc)",
    "create index run_flow_idx on ocd.run (flow, window_start) where flow is not null",
    """
    create table ocd.run_dependency (
      run_id bigint not null references ocd.run (id) on delete cascade,
      depends_on_id bigint not null references ocd.run (id) on delete cascade,
      primary key (run_id, depends_on_id),
      check (run_id <> depends_on_id)
    )
    """,
    "create index run_dependency_depends_on_idx on ocd.run_dependency (depends_on_id)",
    """
    create table ocd.attempt (
      run_id bigint not null references ocd.run (id) on delete cascade,
      fence bigint not null,
      generation integer not null,
      number integer not null,
      worker text not null,
      started_at timestamptz not null default clock_timestamp(),
      finished_at timestamptz,
      outcome text check (outcome in
        ('done', 'failed', 'retry', 'refused', 'cancelled', 'drained', 'lost', 'crashed')),
      error_class text,
      error_message text,
      traceback text,
      primary key (run_id, fence)
    )
    """,
    """
    create table ocd.log_line (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id) on delete cascade,
      fence bigint not null,
      at timestamptz not null,
      level text not null,
      event text not null,
      fields jsonb not null default '{}'
    )
    """,
    "create index log_line_run_id_idx on ocd.log_line (run_id, id)",
    """
    create table ocd.artifact (
      id bigint generated always as identity primary key,
      run_id bigint references ocd.run (id) on delete set null,
      source text not null,
      kind text not null,
      name text not null unique,
      sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
      size_bytes bigint not null check (size_bytes >= 0),
      created_at timestamptz not null default clock_timestamp(),
      expires_at timestamptz not null,
      removed_at timestamptz
    )
    """,
    "create index artifact_run_id_idx on ocd.artifact (run_id)",
    "create index artifact_expires_at_idx on ocd.artifact (expires_at) where removed_at is null",
    """
    create table ocd.heartbeat (
      name text primary key,
      beat_at timestamptz not null default clock_timestamp(),
      detail jsonb not null default '{}'
    )
    """,
    """
    create table ocd.backup_table (
      run_id bigint not null references ocd.run (id) on delete cascade,
      generation integer not null,
      fence bigint not null,
      dataset text not null,
      snapshot_at timestamptz not null,
      rows bigint not null,
      content_hash text not null,
      artifact_name text not null,
      primary key (run_id, fence, dataset)
    )
    """,
    "comment on column ocd.backup_table.run_id is 'The lifecycle.backup run that wrote it.'",
    """
    create table ocd.verification (
      id bigint generated always as identity primary key,
      run_id bigint not null references ocd.run (id) on delete cascade,
      backup_run_id bigint not null references ocd.run (id) on delete cascade,
      dataset text not null,
      rows bigint not null,
      content_hash text not null,
      is_equal boolean not null,
      verified_at timestamptz not null default clock_timestamp()
    )
    """,
    "create index verification_run_id_idx on ocd.verification (run_id)",
    "create index verification_backup_run_id_idx on ocd.verification (backup_run_id)",
    "create index verification_dataset_idx on ocd.verification (dataset, verified_at desc)",
    """
    create table ocd.purge_chunk (
      run_id bigint not null references ocd.run (id) on delete cascade,
      generation integer not null,
      number integer not null,
      dataset text not null,
      first_key bigint not null,
      last_key bigint not null,
      rows bigint not null,
      archive text not null,
      stored_bytes bigint not null,
      raw_sha256 text not null,
      stored_sha256 text not null,
      committed_at timestamptz not null default clock_timestamp(),
      primary key (run_id, generation, number)
    )
    """,
]

COMMENTS = {
    "run": "One row per (job, window, subject), for ever; trying again raises its generation.",
    "run_dependency": "A step of a flow waits for these steps.",
    "attempt": "Every time a worker took a run.",
    "log_line": "Log lines of each attempt; no personal data, no values.",
    "artifact": "Index of the files in the artifact store.",
    "heartbeat": "Housekeeping jobs leave one row each.",
    "backup_table": "What each backup holds, per dataset.",
    "verification": "Restores that were compared with their backup''s source.",
    "purge_chunk": "Each committed batch of a purge and where its rows are archived.",
}


def upgrade() -> None:
    """Create the tables and grant them to the worker and the reader."""
    for statement in TABLES:
        op.execute(statement)
    for table, comment in COMMENTS.items():
        op.execute(f"comment on table ocd.{table} is '{comment}'")
    op.execute("grant select on all tables in schema ocd to ocd_worker, ocd_reader")
    op.execute(
        "grant insert, update on ocd.run, ocd.attempt, ocd.artifact, ocd.heartbeat to ocd_worker"
    )
    # Proof is append-only, even for the worker.
    op.execute(
        "grant insert on ocd.run_dependency, ocd.log_line, ocd.backup_table, ocd.verification, ocd.purge_chunk to ocd_worker"
    )


def downgrade() -> None:
    """Drop the ledger with everything it remembers."""
    op.execute("revoke all on all tables in schema ocd from ocd_worker, ocd_reader")
    for table in (
        "purge_chunk",
        "verification",
        "backup_table",
        "heartbeat",
        "artifact",
        "log_line",
        "attempt",
        "run_dependency",
        "run",
    ):
        op.execute(f"drop table ocd.{table}")
