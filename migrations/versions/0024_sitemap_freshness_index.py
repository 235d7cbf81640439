"""Find the newest reading of any site at once.

Why: its age is measured every day and shown by `ocd status`.
Locks: none that a writer waits for; see revision 0013.
"""

from migrations.indexes import build, drop

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INDEXES = {
    "landing.sitemap_snapshot_taken_at_idx": "landing.sitemap_snapshot (taken_at desc)",
}


def upgrade() -> None:
    """Build the index unless it is there."""
    build(revision, INDEXES)


def downgrade() -> None:
    """Drop it if it was built here."""
    drop(revision, INDEXES)
