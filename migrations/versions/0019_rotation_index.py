"""Find the few artifacts that are marked as removed and whose bytes still lie in the store.

Why: each rotation begins with them, among many rows that are long settled.
Locks: none that a writer waits for; see revision 0013.
"""

from migrations.indexes import build, drop

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INDEXES = {
    "ocd.artifact_undeleted_idx": "ocd.artifact (id) where removed_at is not null and deleted_at is null",
}


def upgrade() -> None:
    """Build the index unless it is there."""
    build(revision, INDEXES)


def downgrade() -> None:
    """Drop it if it was built here."""
    drop(revision, INDEXES)
