"""A purge meets the gate of its table, and nobody gets round it silently."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from ocd.core.errors import ApprovalNeeded, BackupMissing, PolicyRefused
from ocd.ledger import approvals, claims, enqueue, gates, history
from ocd.ledger.claims import Ending
from ocd.ledger.states import State
from tasks import runtime
from tasks.attempt import _attempt, _claim, run_here
from tasks.flows import NIGHT, place_flow
from tasks.job import JOBS
from tasks.publish import order_now
from tasks.registry import MODULES
from tests.factories.agents import make_query

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


@pytest.fixture
def night(task_layer):
    """A night whose backup and verification are done; returns its runs by job and dataset."""
    placed = place_flow(NIGHT, NIGHT.cadence.last_due(runtime.now()), trigger="schedule")
    with task_layer.engine.connect() as conn:
        found = [history.run(conn, one.run_id) for one in placed]
    runs = {(one["job"], one["subject"].get("dataset")): one["id"] for one in found}
    for job in ("lifecycle.backup", "lifecycle.verify"):
        finish(task_layer, job, runs[job, None], Ending(State.DONE, "done"))
    return runs


def finish(task_layer, job, run_id, ending):
    """End a run without doing its work."""
    run = _claim(JOBS[job], run_id)
    with task_layer.engine.begin() as conn:
        claims.finish(conn, run, ending)


@pytest.fixture
def implausible(conn):
    """A query from before there were any: a blocking rule fails."""
    make_query(conn, created_at=datetime(1999, 1, 1, tzinfo=UTC))
    conn.commit()


@pytest.mark.usefixtures("implausible")
def test_what_tonights_check_finds_stops_tonights_purge_of_that_table_only(task_layer, night):
    purge, check = JOBS["lifecycle.purge"], JOBS["quality.check"]
    waiting, other = (
        night["lifecycle.purge", name] for name in ("agent_queries", "agent_feedback")
    )
    assert _claim(purge, waiting) is None

    ending, _, ready = _attempt(check, _claim(check, night["quality.check", "all"]))

    assert ending.state is State.DONE
    assert {waiting, other} <= set(ready)
    _, refused, _ = _attempt(purge, _claim(purge, waiting))
    _, asked, _ = _attempt(purge, _claim(purge, other))
    assert isinstance(refused, ApprovalNeeded)
    assert "purging is off" in asked.message


def test_a_check_that_could_not_be_made_leaves_every_purge_waiting(task_layer, night):
    failed = Ending(State.FAILED, "failed", error_class="SourceUnavailable", error_message="away")

    finish(task_layer, "quality.check", night["quality.check", "all"], failed)

    purges = {
        run_id: _claim(JOBS[job], run_id)
        for (job, _), run_id in night.items()
        if job == "lifecycle.purge"
    }
    assert len(purges) > 10
    assert set(purges.values()) == {None}


def test_whoever_deletes_exports_trains_or_feeds_meets_the_gate():
    """Such a job says which of its arguments names the table."""
    depending = [
        one for name, one in JOBS.items() if re.search(r"[.](purge|export|train|feed)", name)
    ]

    assert [one.name for one in depending if not one.facts.gated_by] == []
    assert "lifecycle.purge" in [one.name for one in depending]
