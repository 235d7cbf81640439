"""Create erasure requests, tombstones and the record of rewritten archives.

Why: a person may ask to be forgotten, within days that the law sets. Who it is stands here until it is
done and nowhere else; afterwards a keyed hash proves the deed and keeps every restore from undoing it.
Archives are rewritten without the rows, and what stood about them before stays beside it.
Locks: none that anybody waits for; the tables are new, the referenced ones are read.
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLES = (
    """
    create table ocd.erasure_request (
      id bigint generated always as identity primary key,
      subjects jsonb check (jsonb_typeof(subjects) = 'array' and subjects <> '[]'),
      proof text not null check (proof in ('email-and-order', 'email-no-order')),
      received_at timestamptz not null,
      acknowledge_by timestamptz not null,
      due_at timestamptz not null,
      requested_by text not null check (btrim(requested_by) <> ''),
      requested_at timestamptz not null default clock_timestamp(),
      acknowledged_at timestamptz,
      acknowledged_by text check (btrim(acknowledged_by) <> ''),
      erased_at timestamptz,
      gone_by timestamptz,
      finished_at timestamptz,
      withdrawn_at timestamptz,
      run_id bigint references ocd.run (id),
      constraint erasure_request_forgotten_check check (
        (subjects is null) = (finished_at is not null or withdrawn_at is not null)),
      constraint erasure_request_end_check check (finished_at is null or withdrawn_at is null),
      constraint erasure_request_clock_check check (
        received_at <= acknowledge_by and acknowledge_by <= due_at)
    )
    """,
    "create index erasure_request_run_id_idx on ocd.erasure_request (run_id)",
    """
    create table ocd.tombstone (
      id bigint generated always as identity primary key,
      request_id bigint not null references ocd.erasure_request (id),
      kind text not null check (btrim(kind) <> ''),
      subject_hmac text not null check (subject_hmac ~ '^[0-9a-f]{64}$'),
      key_id text not null check (btrim(key_id) <> ''),
      placed_at timestamptz not null default clock_timestamp(),
      erased_at timestamptz,
      constraint tombstone_subject_key unique (request_id, kind, subject_hmac)
    )
    """,
    """
    create table ocd.archive_rewrite (
      run_id bigint not null,
      generation integer not null,
      number integer not null,
      request_id bigint not null references ocd.erasure_request (id),
      rows bigint not null check (rows >= 0),
      removed bigint not null check (removed > 0),
      archive text not null,
      stored_bytes bigint not null,
      raw_sha256 text not null check (raw_sha256 ~ '^[0-9a-f]{64}$'),
      stored_sha256 text not null check (stored_sha256 ~ '^[0-9a-f]{64}$'),
      written_at timestamptz not null default clock_timestamp(),
      primary key (run_id, generation, number, request_id),
      foreign key (run_id, generation, number) references ocd.purge_chunk (run_id, generation, number)
    )
    """,
    "create index archive_rewrite_request_id_idx on ocd.archive_rewrite (request_id)",
)

COMMENTS = {
    "table ocd.erasure_request": "Who asked to be forgotten, by when it must be done, and that it was done.",
    "column ocd.erasure_request.id": "Identity; all that the run carries.",
    "column ocd.erasure_request.subjects": "Kinds and ids of what to erase; forgotten at the end.",
    "column ocd.erasure_request.proof": "How whoever asked was known: by what they showed, never the thing itself.",
    "column ocd.erasure_request.received_at": "When the request came; the clock of the law starts.",
    "column ocd.erasure_request.acknowledge_by": "Until when the person must be told that it came.",
    "column ocd.erasure_request.due_at": "Until when it must be done.",
    "column ocd.erasure_request.requested_by": "Who typed it in.",
    "column ocd.erasure_request.requested_at": "When it was typed in.",
    "column ocd.erasure_request.acknowledged_at": "When the person was told.",
    "column ocd.erasure_request.acknowledged_by": "Who told them.",
    "column ocd.erasure_request.erased_at": "When the tables held none of it any more.",
    "column ocd.erasure_request.gone_by": "Until when the last backup that holds it expires; null where none does.",
    "column ocd.erasure_request.finished_at": "When tables, archives and other stores held none of it any more.",
    "column ocd.erasure_request.withdrawn_at": "When the person took it back.",
    "column ocd.erasure_request.run_id": "The run that finished it.",
    "table ocd.tombstone": "Keyed hashes of what was erased: no restore brings it back.",
    "column ocd.tombstone.id": "Identity.",
    "column ocd.tombstone.request_id": "The request that it stands for.",
    "column ocd.tombstone.kind": "conversation, customer or order.",
    "column ocd.tombstone.subject_hmac": "HMAC-SHA256 of kind and id, hex.",
    "column ocd.tombstone.key_id": "Name of the key that it was made with.",
    "column ocd.tombstone.placed_at": "When it was placed; nothing comes back from then on.",
    "column ocd.tombstone.erased_at": "When the tables held none of it; copies of later hold only what is new.",
    "table ocd.archive_rewrite": "Archives that were written anew without erased rows; the newest one of a chunk counts.",
    "column ocd.archive_rewrite.run_id": "The purge run of the chunk.",
    "column ocd.archive_rewrite.generation": "Its generation.",
    "column ocd.archive_rewrite.number": "Number of the chunk in it.",
    "column ocd.archive_rewrite.request_id": "The erasure that it was written for.",
    "column ocd.archive_rewrite.rows": "Rows that are left.",
    "column ocd.archive_rewrite.removed": "Rows that were taken out.",
    "column ocd.archive_rewrite.archive": "Name of the new object.",
    "column ocd.archive_rewrite.stored_bytes": "Its size.",
    "column ocd.archive_rewrite.raw_sha256": "SHA-256 of its rows as text.",
    "column ocd.archive_rewrite.stored_sha256": "SHA-256 of its bytes.",
    "column ocd.archive_rewrite.written_at": "When.",
}


def upgrade() -> None:
    """Create the tables; tombstones and rewrites are never deleted, a tombstone only learns its end."""
    for statement in TABLES:
        op.execute(statement)
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute("grant select, insert, update on ocd.erasure_request to ocd_worker")
    op.execute("grant select, insert, update (erased_at) on ocd.tombstone to ocd_worker")
    op.execute("grant select, insert on ocd.archive_rewrite to ocd_worker")
    op.execute("grant select on ocd.tombstone, ocd.archive_rewrite to ocd_reader")


def downgrade() -> None:
    """Drop the tables with every request; archives stay as they were rewritten."""
    for table in ("archive_rewrite", "tombstone", "erasure_request"):
        op.execute(f"drop table ocd.{table}")
