"""Count days right where clocks change at midnight.

Why: the two views that tell day by day walked from one midnight to the next. Where a day begins at
one o'clock, as in Havana or Santiago in spring, all days after it began then too, and today was missing.
Locks: ACCESS EXCLUSIVE on the two views for an instant.
"""

from migrations.replaceable import put, take_back

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

OBJECTS = ("views/approval_queue_depth", "views/annotation_progress")


def upgrade() -> None:
    """Put the views' new versions in place."""
    put(revision, *OBJECTS)


def downgrade() -> None:
    """Bring the ones before back."""
    take_back(revision, *OBJECTS)
