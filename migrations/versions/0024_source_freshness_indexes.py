"""Find what was last read from GA4 and from any sitemap at once.

Why: their age is measured every day and shown by `ocd status`.
Locks: none that a writer waits for; see revision 0013.
"""

from migrations.indexes import build, drop

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INDEXES = {
    "landing.ga_partition_fetched_at_idx": "landing.ga_partition (fetched_at desc)",
    "landing.sitemap_snapshot_taken_at_idx": "landing.sitemap_snapshot (taken_at desc)",
}


def upgrade() -> None:
    """Build each index unless it is there."""
    build(revision, INDEXES)


def downgrade() -> None:
    """Drop those that were built here."""
    drop(revision, INDEXES)
