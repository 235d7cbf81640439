"""Every job is looked after (A13), with what its schedule promises."""

from __future__ import annotations

from datetime import timedelta

from tasks.flows import FLOWS
from tasks.registry import JOBS
from tasks.watch import watched
from tests.factories.clock import NOW


def test_a13_every_job_is_watched_once():
    assert sorted(one.job for one in watched()) == sorted(JOBS)


def test_a13_a_step_of_a_flow_is_due_when_its_flow_is():
    by_job = {one.job: one for one in watched()}

    for flow in FLOWS:
        for step in flow.steps:
            found = by_job[step.job]
            assert found.entry == f"flow.{flow.name}"
            assert found.cadence.next_due(NOW) == flow.cadence.next_due(NOW)
            assert found.deadline == JOBS[step.job].facts.deadline


def test_a13_next_due_lies_ahead_and_no_window_is_left_out():
    for one in watched():
        due = one.cadence.next_due(NOW)

        assert due > NOW
        assert one.cadence.last_due(due) == one.cadence.after(one.cadence.last_due(NOW))
        assert one.cadence.last_due(due - timedelta(seconds=1)) == one.cadence.last_due(NOW)
