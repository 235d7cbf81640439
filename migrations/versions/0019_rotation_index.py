"""Find the few artifacts whose bytes are still to be deleted, and the proofs of a backup.

Why: each rotation begins with the former, among many rows that are long settled; lists of backups need the latter.
Locks: none that a writer waits for; see revision 0013.
"""

from migrations.indexes import build, drop

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INDEXES = {
    "ocd.artifact_undeleted_idx": "ocd.artifact (id) where removed_at is not null and deleted_at is null",
    "ocd.verification_backup_id_idx": "ocd.verification (backup_id)",
}


def upgrade() -> None:
    """Build the index unless it is there."""
    build(revision, INDEXES)


def downgrade() -> None:
    """Drop it if it was built here."""
    drop(revision, INDEXES)
