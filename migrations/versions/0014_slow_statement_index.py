"""Find the notes of slow statements among the log lines.

Why: `ocd db slow` reads them over days; there are few among many other lines.
Locks: none that a writer waits for; see revision 0013.
"""

from migrations.indexes import build, drop

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEXES = {
    "ocd.log_line_slow_idx": "ocd.log_line (at desc) where event = 'slow_statement'",
}


def upgrade() -> None:
    """Build the index unless it is there."""
    build(revision, INDEXES)


def downgrade() -> None:
    """Drop it if it was built here."""
    drop(revision, INDEXES)
