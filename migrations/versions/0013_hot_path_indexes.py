"""Give the reads that people wait for an index each.

Why: without them a queue, a tile or the nightly rollup reads a whole table, or walks through
everything newer than what it looks for. `benchmarks/indexes.py` measures each before and after.
Locks: none that a writer waits for. The indexes are built concurrently, so this revision is a
transaction of its own; broken off, it is simply run again.
"""

from migrations.indexes import build, drop

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEXES = {
    # The slowest answers of one agent.
    "public.agent_queries_slow_idx": (
        "public.agent_queries (agent, latency_ms desc, created_at desc) where latency_ms > 100"
    ),
    # Drafts that nobody judged yet: as small as the backlog, however many were judged.
    "public.agent_feedback_unjudged_idx": (
        "public.agent_feedback (created_at desc) where safe_to_send is null"
    ),
    # What stood open at the end of a day. Whatever the status says: only this counts for the rollup.
    "public.agent_approvals_unresolved_idx": (
        "public.agent_approvals (created_at) where resolved_at is null"
    ),
    # The decisions that took longest.
    "public.agent_approvals_resolution_idx": (
        "public.agent_approvals (status, (extract(epoch from (resolved_at - created_at))) desc) "
        "where resolved_at is not null"
    ),
}


def upgrade() -> None:
    """Build the indexes that are not there."""
    build(revision, INDEXES)


def downgrade() -> None:
    """Drop those that were built here."""
    drop(revision, INDEXES)
