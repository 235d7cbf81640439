"""What a purge may delete, how much and how fast: decided without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.core.errors import BackupMissing, PolicyRefused
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_QUERIES
from ocd.datasets.dashboard import DASHBOARD_FACTS
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.lifecycle.policy import (
    MAX_ROWS,
    MIN_ROWS,
    Limits,
    next_size,
    passed_limits,
    plan_purge,
    question,
    require_backup,
    rest_s,
)
from tests.factories.clock import NOW

END = NOW.replace(hour=0)
TRUST = timedelta(hours=26)
KEPT = Dataset("kept", "public.kept", "d", "o", "g", "id", "created_at", ())
EVER = None

#: What was decided with the owners, in days; None for ever. A dataset that is not here never expires.
PERIODS = {
    "agent_approvals": {"pending": EVER, "resolved": 30},
    "agent_feedback": {"unsafe": 180, "judged_or_not": 30},
    "agent_queries": {"slow": 180, "fast": 30},
    "ledger_attempt": {"running": EVER, "ended": 90},
    "ledger_log_line": {"all": 90},
    "quality_result": {"all": 400},
    "column_profile": {"all": 400},
    "completeness": {"all": 400},
    "consistency": {"all": 400},
    "cleansing_change": {"all": 30},
    "agent_run": {"marked": EVER, "raw": 90},
    "agent_qc": {"raw": 90},
    "decision_sync_event_logs": {"all": 365},
    "decision_log": {"all": 365},
    "observability_logs": {"all": 90},
    "facts": {"all": 180},
    "dashboard_facts": {"sales_and_traffic": 30, "escalations": 14, "sessions": 90, "others": 180},
    "gold_reply_submissions": {"pending": EVER, "reviewed": 180},
    "chatwoot_conversations": {"unseen": 180},
    "chatwoot_messages": {"unseen": 180},
    "shopify_orders": {"unseen": 180},
    "shopify_order_lines": {"unseen": 180},
    "shopify_inventory": {"unseen": 180},
}
#: Rules that never expire, and why that is no leak: a person, a worker or another rule ends them.
ENDLESS = {
    ("agent_approvals", "pending"),
    ("gold_reply_submissions", "pending"),
    ("ledger_attempt", "running"),
    ("agent_run", "marked"),
}


def days_of(plan):
    return {one.rule: (END - one.cutoff).days for one in plan.expiries}


def planned(dataset=AGENT_QUERIES, **more):
    return plan_purge(dataset, window_end=END, now=NOW, **more)


@pytest.mark.parametrize("facts", DATASETS, ids=lambda one: one.name)
def test_each_dataset_is_kept_as_long_as_was_decided(facts):
    rules = facts.retention.rules if facts.retention else ()

    said = {rule.name: rule.keep and rule.keep.days for rule in rules}
    assert said == PERIODS.get(facts.name, {})


def test_exceptions_expire_too():
    endless = {
        (one.name, rule.name)
        for one in DATASETS
        if one.retention
        for rule in one.retention.rules
        if rule.keep is None
    }

    assert endless == ENDLESS
    assert all(any(rule.keep for rule in one.retention.rules) for one in DATASETS if one.retention)


def test_rows_that_never_expire_are_flagged_after_ninety_days():
    (flagged,) = planned(AGENT_APPROVALS).endless

    assert (flagged.rule, flagged.since, END - flagged.cutoff) == (
        "pending",
        "created_at",
        timedelta(days=90),
    )


def test_a_dataset_without_retention_is_kept_for_ever():
    assert planned(KEPT) is None


def test_a_window_that_is_not_over_is_refused():
    with pytest.raises(PolicyRefused, match="not over"):
        plan_purge(AGENT_QUERIES, window_end=NOW + timedelta(seconds=61), now=NOW)


def test_a_worker_clock_a_minute_behind_is_tolerated():
    assert plan_purge(AGENT_QUERIES, window_end=NOW + timedelta(seconds=60), now=NOW) is not None


def test_the_fingerprint_is_the_same_for_the_same_window_and_differs_for_another():
    tonight = planned()
    later = plan_purge(AGENT_QUERIES, window_end=END, now=NOW + timedelta(hours=9))
    yesterday = plan_purge(AGENT_QUERIES, window_end=END - timedelta(days=1), now=NOW)

    assert tonight.sha256 == later.sha256
    assert tonight.sha256 != yesterday.sha256
    assert tonight.policy_sha256 == yesterday.policy_sha256


@pytest.mark.parametrize(
    ("days", "keeps"),
    [
        (45, {"slow": 180, "fast": 45}),
        (30, {"slow": 180, "fast": 30}),
        (5, {"slow": 180, "fast": 30}),
    ],
    ids=["longer", "the same", "shorter"],
)
def test_a_policy_row_lengthens_and_never_shortens(days, keeps):
    plan = planned(lengthened={"fast": timedelta(days=days)})

    assert days_of(plan) == keeps
    assert (plan.policy_sha256 == planned().policy_sha256) is (days <= 30)


@pytest.mark.parametrize("rule", ["gone", "pending"], ids=["unknown", "for ever already"])
def test_a_policy_row_that_fits_no_rule_stops_the_purge(rule):
    """Rules may be renamed; what an owner wanted kept must not fall through."""
    with pytest.raises(PolicyRefused, match=f"lengthens rule {rule}, which no longer expires"):
        planned(AGENT_APPROVALS, lengthened={rule: timedelta(days=400)})


@pytest.mark.parametrize(
    ("dataset", "days", "keeps", "below"),
    [
        (AGENT_QUERIES, 10, {"slow": 180, "fast": 10}, 20),
        (AGENT_QUERIES, 30, {"slow": 180, "fast": 30}, 0),
        (AGENT_QUERIES, 60, {"slow": 180, "fast": 60}, 0),
        (AGENT_QUERIES, 365, {"slow": 365, "fast": 365}, 0),
        (
            DASHBOARD_FACTS,
            20,
            {"sales_and_traffic": 30, "escalations": 20, "sessions": 90, "others": 180},
            0,
        ),
    ],
    ids=["below", "at", "above", "above all", "above the shortest"],
)
def test_ordered_days_count_in_place_of_the_shortest_period(dataset, days, keeps, below):
    plan = planned(dataset, days=days)

    assert (days_of(plan), plan.below_policy_days) == (keeps, below)


def test_ordered_days_undercut_policy_rows_too():
    plan = planned(lengthened={"fast": timedelta(days=60)}, days=40)

    assert (days_of(plan)["fast"], plan.below_policy_days) == (40, 20)


def asked(*, rows=10, table_rows=1000, skew=0.0, last=None, plan=None, limits=None):
    return passed_limits(
        plan or planned(),
        limits or Limits(rows=500_000),
        rows=rows,
        table_rows=table_rows,
        clock_skew=timedelta(seconds=skew),
        last_cutoffs=last or {},
    )


@pytest.mark.parametrize(
    ("case", "asks"),
    [
        ({"rows": 200}, {}),
        ({"rows": 201}, {"share_percent": 21}),
        ({"rows": 99, "table_rows": 99}, {}),
        ({"rows": 100, "table_rows": 100}, {"share_percent": 100}),
        ({"rows": 500_000, "table_rows": 10**8}, {}),
        ({"rows": 500_001, "table_rows": 10**8}, {"rows": 500_001}),
        ({"skew": 60}, {}),
        ({"skew": 61}, {"clock_skew_minutes": 2}),
        ({"skew": -61}, {"clock_skew_minutes": 2}),
        ({"last": {"fast": END - timedelta(days=44)}}, {}),
        ({"last": {"fast": END - timedelta(days=45)}}, {"cutoff_jump_days": 15}),
        ({"last": {"fast": END}}, {}),
        ({"last": {"another": END - timedelta(days=400)}}, {}),
        ({"plan": planned(days=10)}, {"below_policy_days": 20}),
        ({"rows": 0, "table_rows": 0}, {}),
    ],
    ids=[
        "a fifth", "more than a fifth", "nearly all of a handful", "all of more", "many rows", "more rows",
        "clocks a minute apart", "a fast worker", "a slow worker", "two weeks later", "more than two weeks later",
        "an earlier cutoff", "a rule that is new", "below policy", "an empty table",
    ],
)  # fmt: skip
def test_what_passes_a_limit_asks(case, asks):
    assert asked(**case) == asks


def test_a_question_says_everything_that_is_asked():
    asks = {"share_percent": 34, "rows": 1_200_000, "below_policy_days": 20}

    assert question("agent_queries", asks) == (
        "agent_queries: 34 % of the table would be deleted, 1,200,000 rows would be deleted, "
        "rows would be deleted 20 days before policy allows"
    )


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


@given(st.integers(1, 10**6), st.floats(0, 100))
def test_batches_stay_between_their_limits_and_never_jump(size, took_s):
    assert MIN_ROWS <= next_size(size, took_s) <= max(MIN_ROWS, min(MAX_ROWS, size * 1.5))


@pytest.mark.parametrize(("took_s", "rest"), [(0.01, 0.0), (0.2, 0.0), (0.3, 0.3), (60.0, 5.0)])
def test_a_slow_batch_is_followed_by_a_rest(took_s, rest):
    assert rest_s(took_s) == rest
