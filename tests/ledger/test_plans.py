"""A sweep reads what is due, not everything that waits: its bounds are conditions of the index."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ocd.core.sqlfiles import statement
from ocd.ledger import reconcile


@pytest.mark.parametrize(
    ("name", "parameters", "bound"),
    [
        ("take_unsent.sql", {"stale_s": 60, "limit": 1000}, "publish_at <="),
        ("queue_due.sql", {"limit": 1000}, "not_before <="),
        ("mark_late.sql", {"limit": 1000}, "deadline_at <"),
    ],
    ids=["unsent", "due", "late"],
)
def test_a_sweep_reads_only_what_is_due(conn, name, parameters, bound):
    # Never worth it on an empty table.
    conn.execute(text("set local enable_seqscan = off"))
    conn.execute(text("set local enable_bitmapscan = off"))

    plan = conn.execute(text(f"explain {statement(reconcile.__file__, name)}"), parameters)

    assert f"Index Cond: ({bound}" in "\n".join(plan.scalars())
