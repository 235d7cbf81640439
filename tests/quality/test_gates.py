"""A purge meets the gate of its table, and nobody gets round it silently."""

from __future__ import annotations

import re

import pytest

from ocd.core.errors import ApprovalNeeded, BackupMissing, PolicyRefused
from ocd.ledger import approvals, enqueue, gates
from tasks import runtime
from tasks.attempt import _attempt, _claim, run_here
from tasks.job import JOBS
from tasks.publish import order_now
from tasks.registry import MODULES

SAID = "agent_queries.created_at.plausible: 1 of 600 rows fail"


@pytest.fixture
def purge(task_layer):
    """Purge a table in this process."""
    assert MODULES
    return lambda dataset: run_here(JOBS["lifecycle.purge"], {"dataset": dataset})


@pytest.fixture
def shut(task_layer, start_run):
    """Close the gate of the queries."""
    with task_layer.engine.begin() as conn:
        gates.close(
            conn, "agent_queries", "quality:q", run_id=start_run("quality.check").id, summary=SAID
        )


@pytest.mark.usefixtures("shut")
def test_a_closed_gate_refuses_the_purge_of_its_table_and_no_other(conn, purge):
    with pytest.raises(ApprovalNeeded, match="agent_queries.created_at.plausible"):
        purge("agent_queries")
    with pytest.raises(PolicyRefused, match="purging is off"):
        purge("agent_feedback")

    (asked,) = approvals.approvals(conn)
    assert SAID in asked["question"]


@pytest.mark.usefixtures("shut")
def test_whoever_says_yes_is_named_and_the_purge_goes_on(conn, purge):
    with pytest.raises(ApprovalNeeded) as refused:
        purge("agent_queries")
    with conn.begin():
        approvals.approve(
            conn, refused.value.run_id, reason="agreed", approved_by="mara", may_be_same=True
        )

    # Past the gate, the purge asks what it always asks.
    with pytest.raises(PolicyRefused, match="purging is off"):
        purge("agent_queries")

    (given,) = approvals.approvals(conn, with_given=True)
    assert (given["approved_by"], given["reason"]) == ("mara", "agreed")


@pytest.mark.usefixtures("shut")
def test_force_does_not_open_a_gate(task_layer, purge):
    job = JOBS["lifecycle.purge"]
    with runtime.engine().begin() as conn:
        order = order_now(job, {"dataset": "agent_queries"})
        placed = enqueue.add(conn, order, retry_ended=True, force=True)

    _, result, _ = _attempt(job, _claim(job, placed.run_id))

    assert isinstance(result, ApprovalNeeded)


@pytest.mark.usefixtures("shut")
def test_a_dry_run_says_that_the_real_one_would_be_refused(task_layer):
    job = JOBS["lifecycle.purge"]
    with runtime.engine().begin() as conn:
        window = job.cadence.last_closed(runtime.now())
        order = job.order({"dataset": "agent_queries"}, window, is_dry=True)
        placed = enqueue.add(conn, order)

    _, result, _ = _attempt(job, _claim(job, placed.run_id))

    assert isinstance(result, PolicyRefused)
    assert not isinstance(result, ApprovalNeeded | BackupMissing)
    assert "closed gates" in result.message


def test_whoever_deletes_exports_trains_or_feeds_meets_the_gate():
    """Such a job says which of its arguments names the table."""
    depending = [
        one for name, one in JOBS.items() if re.search(r"[.](purge|export|train|feed)", name)
    ]

    assert [one.name for one in depending if not one.facts.gated_by] == []
    assert "lifecycle.purge" in [one.name for one in depending]
