"""What a purge may delete: decided without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ocd.core.errors import BackupMissing, PolicyRefused
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Dataset
from ocd.lifecycle.policy import plan_purge, require_backup
from tests.factories.clock import NOW

END = NOW.replace(hour=0)
TRUST = timedelta(hours=26)
KEPT = Dataset("kept", "public.kept", "d", "o", "g", "id", "created_at", ())


@pytest.mark.parametrize(
    ("dataset", "keeps"),
    [
        (AGENT_APPROVALS, {"resolved": 30}),
        (AGENT_FEEDBACK, {"unsafe": 180, "judged_or_not": 30}),
        (AGENT_QUERIES, {"slow": 180, "fast": 30}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_cutoffs_lie_the_retention_before_the_windows_end(dataset, keeps):
    plan = plan_purge(dataset, window_end=END, now=NOW)

    assert {one.rule: (END - one.cutoff).days for one in plan.expiries} == keeps


def test_a_dataset_without_retention_is_kept_for_ever():
    assert plan_purge(KEPT, window_end=END, now=NOW) is None


def test_a_window_that_is_not_over_is_refused():
    with pytest.raises(PolicyRefused, match="not over"):
        plan_purge(AGENT_QUERIES, window_end=NOW + timedelta(seconds=61), now=NOW)


def test_a_worker_clock_a_minute_behind_is_tolerated():
    assert plan_purge(AGENT_QUERIES, window_end=NOW + timedelta(seconds=60), now=NOW) is not None


def test_the_fingerprint_is_the_same_for_the_same_window_and_differs_for_another():
    tonight = plan_purge(AGENT_QUERIES, window_end=END, now=NOW)
    later = plan_purge(AGENT_QUERIES, window_end=END, now=NOW + timedelta(hours=9))
    yesterday = plan_purge(AGENT_QUERIES, window_end=END - timedelta(days=1), now=NOW)

    assert tonight.sha256 == later.sha256
    assert tonight.sha256 != yesterday.sha256


@pytest.mark.parametrize(
    "verified_at", [None, NOW - TRUST - timedelta(seconds=1)], ids=["never", "stale"]
)
def test_refuses_without_a_trusted_verification(verified_at):
    with pytest.raises(BackupMissing) as caught:
        require_backup(
            AGENT_QUERIES, verified_at=verified_at, is_same_night=False, now=NOW, trust=TRUST
        )

    assert caught.value.dataset == "agent_queries"


@pytest.mark.parametrize(
    ("age", "is_same_night"),
    [(TRUST, False), (TRUST * 20, True)],
    ids=["exactly as old as trusted", "older, but of the night that is purged"],
)
def test_accepts_a_trusted_verification(age, is_same_night):
    refusal = require_backup(
        AGENT_QUERIES, verified_at=NOW - age, is_same_night=is_same_night, now=NOW, trust=TRUST
    )

    assert refusal is None
