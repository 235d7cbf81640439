"""Let an attempt be deferred: it found that a quota is nearly used up, and asked for nothing.

Why: waiting for a quota is no failure, so it must not use up a run's attempts.
Locks: ACCESS EXCLUSIVE on ocd.attempt for an instant; SHARE UPDATE EXCLUSIVE while its rows are checked.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BEFORE = ("done", "failed", "retry", "refused", "cancelled", "drained", "lost", "crashed")


def upgrade() -> None:
    """Allow one more outcome."""
    _allow((*BEFORE, "deferred"))


def downgrade() -> None:
    """Call deferred attempts drained: they were given back as well."""
    op.execute("update ocd.attempt set outcome = 'drained' where outcome = 'deferred'")
    _allow(BEFORE)


def _allow(outcomes: tuple[str, ...]) -> None:
    said = ", ".join(f"'{one}'" for one in outcomes)
    op.execute(f"""
        alter table ocd.attempt
          -- squawk-ignore ban-drop-constraint
          drop constraint attempt_outcome_check,
          add constraint attempt_outcome_check check (outcome in ({said})) not valid
    """)
    # In a transaction of its own: the lock above is gone before the rows are checked.
    with op.get_context().autocommit_block():
        op.execute("alter table ocd.attempt validate constraint attempt_outcome_check")
