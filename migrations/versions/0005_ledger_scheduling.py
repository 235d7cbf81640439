"""Let the ledger schedule, hold back, remember what is wrong, and forget its own details.

Why: what beat missed, what a backfill holds back, what is late and what somebody paused must outlive
every process. One column, `publish_at`, says when a queued run's message is due (again), so that a
sweep reads only those. Attempts and log lines get retention, so they need a key of their own and
row security; the rows they belong to stay.
Locks: exclusive on the ledger's tables, for the time it takes to rewrite nothing: new columns are
null, indexes are built on open runs only. Stop workers first, the code asks for this revision.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TRIGGERS_BEFORE = "('schedule', 'manual', 'flow', 'backfill', 'celery')"
TRIGGERS = "('schedule', 'catch_up', 'manual', 'flow', 'backfill', 'celery')"

TABLES = [
    """
    create table ocd.backfill (
      id bigint generated always as identity primary key,
      job text not null,
      first_label text not null,
      last_label text not null,
      reprocess text not null check (reprocess in ('missing', 'failed', 'all')),
      max_active integer not null check (max_active >= 1),
      is_reverse boolean not null default false,
      requested_by text,
      created_at timestamptz not null default clock_timestamp(),
      cancelled_at timestamptz,
      finished_at timestamptz
    )
    """,
    "create index backfill_open_idx on ocd.backfill (id) where finished_at is null",
    """
    create table ocd.schedule (
      name text primary key,
      cadence text not null,
      since_at timestamptz not null default clock_timestamp()
    )
    """,
    """
    create table ocd.pause (
      name text primary key,
      reason text not null check (btrim(reason) <> ''),
      paused_by text not null,
      paused_at timestamptz not null default clock_timestamp()
    )
    """,
    """
    create table ocd.incident (
      id bigint generated always as identity primary key,
      cause text not null,
      kind text not null check (kind in ('failed', 'refused', 'dead', 'late', 'silent')),
      severity text not null check (severity in ('warning', 'error', 'critical')),
      job text,
      subject jsonb not null default '{}',
      window_end timestamptz,
      run_id bigint references ocd.run (id) on delete set null,
      error_class text,
      summary text not null,
      how_to text not null,
      opened_at timestamptz not null default clock_timestamp(),
      seen_at timestamptz not null default clock_timestamp(),
      times integer not null default 1,
      closed_at timestamptz,
      closed_by_run_id bigint references ocd.run (id) on delete set null,
      notified_at timestamptz,
      closing_notified_at timestamptz,
      notify_attempts integer not null default 0
    )
    """,
    "create unique index incident_open_idx on ocd.incident (cause) where closed_at is null",
    "create index incident_open_job_idx on ocd.incident (job) where closed_at is null",
    """
    create index incident_unnotified_idx on ocd.incident (opened_at)
      where notified_at is null or (closed_at is not null and closing_notified_at is null)
    """,
    "create index incident_run_id_idx on ocd.incident (run_id)",
    "create index incident_closed_by_run_id_idx on ocd.incident (closed_by_run_id)",
]

COMMENTS = {
    "table ocd.backfill": "A range of windows that somebody ordered; its runs are let go a few at a time.",
    "table ocd.schedule": "Since when a flow or job is scheduled with this cadence: windows due before were not missed.",
    "table ocd.pause": "What beat and catch-up shall not order now; `*` is everything.",
    "table ocd.incident": "What is wrong, once per cause, from its opening to its recovery.",
    "column ocd.run.publish_at": "When the message of a queued run was due to be sent; a sweep sends it again some time after that. Null unless queued.",
    "column ocd.run.late_at": "When the run was found not done at its deadline.",
    "column ocd.run.lease_renewed_at": "When the lease was taken or last renewed.",
    "column ocd.run.backfill_id": "The backfill that holds the run back while it waits.",
}

RUN_BEFORE = """
    alter table ocd.run
      add column publish_at timestamptz,
      add column late_at timestamptz,
      add column lease_renewed_at timestamptz,
      -- squawk-ignore adding-foreign-key-constraint
      add column backfill_id bigint references ocd.backfill (id) on delete set null,
      add column backfill_position integer,
      -- squawk-ignore ban-drop-column
      drop column published_at,
      -- squawk-ignore ban-drop-constraint
      drop constraint run_trigger_check
"""

INDEXES = [
    # Renewing a lease and noting progress touch no index, so they can stay on the row's own page.
    "alter table ocd.run set (fillfactor = 85)",
    "create index run_publish_idx on ocd.run (publish_at) where state = 'queued'",
    "create index run_running_idx on ocd.run (id) where state = 'running'",
    "create index run_not_before_idx on ocd.run (not_before) where state = 'waiting' and not_before is not null",
    """
    create index run_deadline_idx on ocd.run (deadline_at)
      where late_at is null and deadline_at is not null and state not in ('done', 'cancelled')
    """,
    "create index run_late_idx on ocd.run (job) where late_at is not null and state not in ('done', 'cancelled')",
    "create index run_bad_end_idx on ocd.run (finished_at desc) where state in ('failed', 'refused', 'dead')",
    "create index run_waiting_idx on ocd.run (id) where state = 'waiting'",
    "create index run_backfill_idx on ocd.run (backfill_id, state, backfill_position) where backfill_id is not null",
    "-- squawk-ignore require-concurrent-index-deletion\ndrop index ocd.run_open_idx",
]

DETAILS = [
    # A key that batches of a purge can walk along.
    "-- squawk-ignore adding-field-with-default\nalter table ocd.attempt add column id bigint generated always as identity",
    "-- squawk-ignore ban-drop-constraint\nalter table ocd.attempt drop constraint attempt_pkey",
    "alter table ocd.attempt add constraint attempt_pkey primary key (id)",
    "alter table ocd.attempt add constraint attempt_run_fence_key unique (run_id, fence)",
    "grant delete on ocd.attempt, ocd.log_line to ocd_worker",
]

DETAIL_TABLES = ("attempt", "log_line")
COLUMN_COMMENTS = {
    "attempt": {
        "run_id": "The run that was attempted.",
        "fence": "Its fence: who holds a lower one can write nothing.",
        "generation": "Which taking-up of the run.",
        "number": "Which attempt of this generation, from 1.",
        "worker": "Host and process that took it.",
        "started_at": "When it was claimed.",
        "finished_at": "When it ended; null while it runs.",
        "outcome": "What it came to; null while it runs.",
        "error_class": "Class of the error that ended it.",
        "error_message": "The error in words, without values.",
        "traceback": "Places in the code, without values.",
        "id": "Identity.",
    },
    "log_line": {
        "id": "Identity.",
        "run_id": "The run that said it.",
        "fence": "The attempt that said it.",
        "at": "When it was said.",
        "level": "info, warning or error.",
        "event": "Constant name of the event.",
        "fields": "Its facts: counts and keys, no values of rows.",
    },
}


def upgrade() -> None:
    """Add what scheduling, backfills, pauses, incidents and the ledger's own retention need."""
    for statement in TABLES:
        op.execute(statement)
    op.execute(RUN_BEFORE)
    op.execute(
        f"alter table ocd.run add constraint run_trigger_check check (trigger in {TRIGGERS})"
    )
    op.execute(
        "update ocd.run set state = 'waiting' where state = 'queued' and not_before > clock_timestamp()"
    )
    op.execute(
        "update ocd.run set not_before = null where state <> 'waiting' and not_before is not null"
    )
    op.execute("update ocd.run set publish_at = clock_timestamp() where state = 'queued'")
    op.execute("""
        alter table ocd.run
          add constraint run_not_before_check check (not_before is null or state = 'waiting'),
          add constraint run_publish_check check ((state = 'queued') = (publish_at is not null))
    """)
    for statement in (*INDEXES, *DETAILS):
        op.execute(statement)
    for table in DETAIL_TABLES:
        op.execute(f"alter table ocd.{table} enable row level security")
        op.execute(f"alter table ocd.{table} force row level security")
        op.execute(
            f"create policy {table}_reader on ocd.{table} for select to ocd_reader using (true)"
        )
        for column, comment in COLUMN_COMMENTS[table].items():
            op.execute(f"comment on column ocd.{table}.{column} is '{comment}'")
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute(
        "grant select on ocd.backfill, ocd.schedule, ocd.pause, ocd.incident to ocd_worker, ocd_reader"
    )
    op.execute("grant insert, update on ocd.backfill, ocd.schedule, ocd.incident to ocd_worker")
    op.execute("grant insert, delete on ocd.pause to ocd_worker")


def downgrade() -> None:
    """Take it all back; runs that wait for an hour of theirs are queued at once."""
    for table in DETAIL_TABLES:
        op.execute(f"drop policy {table}_reader on ocd.{table}")
        op.execute(f"alter table ocd.{table} no force row level security")
        op.execute(f"alter table ocd.{table} disable row level security")
        for column in COLUMN_COMMENTS[table]:
            op.execute(f"comment on column ocd.{table}.{column} is null")
    op.execute("revoke delete on ocd.attempt, ocd.log_line from ocd_worker")
    op.execute("alter table ocd.attempt drop constraint attempt_pkey")
    op.execute("alter table ocd.attempt drop constraint attempt_run_fence_key")
    op.execute("alter table ocd.attempt add constraint attempt_pkey primary key (run_id, fence)")
    op.execute("alter table ocd.attempt drop column id")
    op.execute("""
        create index run_open_idx on ocd.run (state, queued_at) where state in ('waiting', 'queued', 'running')
    """)
    op.execute(
        "drop index ocd.run_running_idx, ocd.run_bad_end_idx, ocd.run_waiting_idx, ocd.run_not_before_idx"
    )
    # Held back by a backfill or until an hour: the code before knows neither.
    op.execute("""
        alter table ocd.run drop constraint run_not_before_check, drop constraint run_publish_check
    """)
    op.execute("""
        update ocd.run set state = 'queued', queued_at = coalesce(queued_at, clock_timestamp())
        where state = 'waiting' and (not_before is not null or backfill_id is not null)
    """)
    op.execute("update ocd.run set trigger = 'schedule' where trigger = 'catch_up'")
    op.execute("""
        alter table ocd.run
          drop column publish_at, drop column late_at, drop column lease_renewed_at,
          drop column backfill_id, drop column backfill_position,
          add column published_at timestamptz,
          drop constraint run_trigger_check
    """)
    op.execute(
        f"alter table ocd.run add constraint run_trigger_check check (trigger in {TRIGGERS_BEFORE})"
    )
    op.execute("alter table ocd.run reset (fillfactor)")
    op.execute("drop table ocd.incident, ocd.pause, ocd.schedule, ocd.backfill")
