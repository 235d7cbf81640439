"""Let a look at the data or the schema open an incident, and name the rows of created_object.

Why: what an audit finds is no failed run, yet somebody must be told once and see it closed again.
`ocd.created_object` had no key, which the audit itself would find; the newest metric fact had no index.
Locks: ACCESS EXCLUSIVE on ocd.incident to look at its rows once, and on ocd.created_object, which
holds a few dozen; writers of metric_facts wait while the index is built over a few thousand rows.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BEFORE = "('failed', 'refused', 'dead', 'late', 'silent')"
AFTER = "('failed', 'refused', 'dead', 'late', 'silent', 'finding')"


def upgrade() -> None:
    """Allow the kind `finding`; add the key and the index."""
    op.execute(f"""
        alter table ocd.incident
          -- squawk-ignore ban-drop-constraint
          drop constraint incident_kind_check,
          -- squawk-ignore constraint-missing-not-valid
          add constraint incident_kind_check check (kind in {AFTER})
    """)
    op.execute("""
        -- squawk-ignore adding-field-with-default, adding-serial-primary-key-field
        alter table ocd.created_object add column id bigint generated always as identity primary key
    """)
    op.execute("""
        -- squawk-ignore require-concurrent-index-creation
        create index metric_facts_computed_at_idx on public.metric_facts (computed_at desc)
    """)


def downgrade() -> None:
    """Forget findings; drop the key and the index."""
    op.execute("drop index public.metric_facts_computed_at_idx")
    op.execute("alter table ocd.created_object drop column id")
    op.execute("delete from ocd.incident where kind = 'finding'")
    op.execute(f"""
        alter table ocd.incident
          drop constraint incident_kind_check,
          add constraint incident_kind_check check (kind in {BEFORE})
    """)
