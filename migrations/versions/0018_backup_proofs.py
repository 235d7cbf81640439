"""Keep how far each proof of a backup went, and what became of every artifact's bytes.

Why: a backup counts from a level on; restore times are a trend; rotation marks before it deletes, so that a
crash in between leaves nothing that looks kept. The worker reads where the tables' sequences stand.
Locks: exclusive, for an instant, on two ledger tables (columns without a default).
"""

from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = (
    "ocd.attempt",
    "ocd.log_line",
    *(
        f"public.{name}"
        for name in (
            "agent_approvals",
            "agent_feedback",
            "agent_queries",
            "agent_run",
            "agent_qc",
            "decision_sync_event_logs",
            "decision_log",
            "observability_logs",
            "facts",
            "dashboard_facts",
            "metric_facts",
            "gold_reply_submissions",
            "support_curated_replies",
            "product_categories",
            "customer_segments",
        )
    ),
    *(
        f"landing.{name}"
        for name in (
            "chatwoot_conversations",
            "chatwoot_messages",
            "shopify_orders",
            "shopify_order_lines",
            "shopify_inventory",
        )
    ),
)

COMMENTS = {
    "column ocd.verification.backup_id": "The manifest''s artifact: which backup of the run was proved.",
    "column ocd.verification.level": "How far the proof went: 1 read, 2 unpacked, 3 restored, 4 content equal; 0 damaged.",
    "column ocd.verification.restore_ms": "How long this table took to restore, with its indexes.",
    "column ocd.verification.reason": "What was different; null where nothing was.",
    "column ocd.artifact.deleted_at": "When its bytes were deleted; null after removed_at: the next rotation deletes them.",
    "column ocd.artifact.reread_at": "When its bytes were last read from end to end and found whole.",
}

GRANTS = """
    do $$ declare found regclass; begin
      for found in
        select d.objid::regclass from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
        where d.refclassid = 'pg_class'::regclass and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
          and d.refobjid in (select to_regclass(name) from unnest(array[{tables}]) name)
      loop execute format('{verb} select on sequence %s {direction} ocd_worker', found); end loop;
    end $$
"""


def _grants(verb: str, direction: str) -> str:
    tables = ", ".join(f"'{table}'" for table in TABLES)
    return GRANTS.format(tables=tables, verb=verb, direction=direction)


def upgrade() -> None:
    """Add the columns and let the worker read the sequences."""
    op.execute("""
        alter table ocd.verification
          add column backup_id bigint,
          add column level smallint,
          add column restore_ms bigint,
          add column reason text,
          add constraint verification_level_check check (level between 0 and 4) not valid,
          add constraint verification_backup_id_fkey foreign key (backup_id) references ocd.artifact (id) not valid
    """)
    # Until now a run had one backup, unless somebody forced a second; then nobody knows which was proved.
    op.execute("""
        update ocd.verification v set backup_id = a.id, level = case when v.is_equal then 4 else 0 end
        from (select run_id, min(id) as id from ocd.artifact where kind = 'backup-manifest' group by run_id having count(*) = 1) a
        where a.run_id = v.backup_run_id
    """)
    # A row per table and night: read in an instant.
    for constraint in ("verification_level_check", "verification_backup_id_fkey"):
        op.execute(f"""
            -- squawk-ignore constraint-missing-not-valid
            alter table ocd.verification validate constraint {constraint}
        """)
    op.execute(
        "alter table ocd.artifact add column deleted_at timestamptz, add column reread_at timestamptz"
    )
    for what, comment in COMMENTS.items():
        op.execute(f"comment on {what} is '{comment}'")
    op.execute(_grants("grant", "to"))


def downgrade() -> None:
    """Drop the columns with what they say."""
    op.execute("""
        alter table ocd.verification drop column backup_id, drop column level, drop column restore_ms, drop column reason
    """)
    op.execute("alter table ocd.artifact drop column deleted_at, drop column reread_at")
    op.execute(_grants("revoke", "from"))
