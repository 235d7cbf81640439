"""Metric facts equal what anybody computes from the same rows."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ocd.ledger import claims
from ocd.ledger.claims import Ending
from ocd.ledger.states import State
from ocd.warehouse.rollup import rollup
from tasks.warehouse import measured
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW
from tests.warehouse.arithmetic import percentile, ratio

START = datetime(2026, 11, 23, tzinfo=UTC)
END = START + timedelta(days=1)
MOMENT = timedelta(microseconds=1)
AGENTS = ("data", "support", "ops")


@pytest.fixture
def compute(conn, db, start_run):
    """Roll up in a run of its own, ended as done."""

    def deed(window="2026-11-23"):
        conn.commit()
        run = start_run("warehouse.rollup", window)
        report = rollup(conn, run=run, now=NOW, measure=measured)
        with db.engine.begin() as ending:
            done = Ending(State.DONE, "done", rows=0, evidence={"type": "T", "version": 1})
            claims.finish(ending, run, done)
        return report

    return deed


def facts(conn):
    """Everything written, by metric and scope."""
    rows = conn.execute(
        text("select metric, scope, value, unit, inputs, reason from metric_facts")
    ).all()
    conn.rollback()
    return {(row.metric, row.scope): (row.value, row.unit, row.inputs, row.reason) for row in rows}


def values(conn):
    return {
        key: None if value is None else float(value) for key, (value, *_) in facts(conn).items()
    }


def is_within(instant):
    return instant is not None and START <= instant < END


def instants(rng):
    """An instant of the day, its edges more often than chance would have it, or one beside it."""
    edges = (START, START - MOMENT, END, END - MOMENT)
    drawn = START + timedelta(seconds=rng.uniform(-40_000, 120_000))
    return rng.choice(edges) if rng.random() < 0.2 else drawn


def random_queries(rng, count):
    return [
        {
            "agent": rng.choice(AGENTS),
            "approved": rng.choice((True, False, None)),
            "human_edited": rng.random() < 0.3,
            "latency_ms": rng.choice((None, 0, 199, 200, 201, rng.randrange(2000))),
            "created_at": instants(rng),
        }
        for _ in range(count)
    ]


def random_approvals(rng, count):
    made = []
    for _ in range(count):
        created_at = instants(rng)
        status = rng.choice(("pending", "approved", "rejected", "expired"))
        waited = timedelta(seconds=rng.randrange(90_000))
        resolved_at = rng.choice(
            (created_at + waited, max(created_at, END), max(created_at, START))
        )
        made.append(
            {
                "created_at": created_at,
                "status": status,
                "resolved_at": None if status == "pending" else resolved_at,
            }
        )
    return made


def quality_score(rows, approved, latency):
    if not approved or not latency:
        return None
    edits = sum(row["human_edited"] for row in rows) / len(rows)
    speed = max(0, 1 - sum(latency) / len(latency) / 1000)
    return 50 * sum(approved) / len(approved) + 30 * (1 - edits) + 20 * speed


def expected_of_queries(queries):
    expected = {}
    today = [row for row in queries if is_within(row["created_at"])]
    for scope in ("", *sorted({row["agent"] for row in today})):
        rows = [row for row in today if scope in ("", row["agent"])]
        approved = [row["approved"] for row in rows if row["approved"] is not None]
        latency = [row["latency_ms"] for row in rows if row["latency_ms"] is not None]
        expected |= {
            ("agent_queries", scope): len(rows),
            ("agent_approval_rate", scope): ratio(sum(approved), len(approved)),
            ("agent_edit_rate", scope): ratio(sum(row["human_edited"] for row in rows), len(rows)),
            ("agent_slow_queries", scope): sum(one > 200 for one in latency),
            ("agent_latency_p50", scope): percentile(latency, 0.5),
            ("agent_latency_p95", scope): percentile(latency, 0.95),
            ("agent_quality_score", scope): quality_score(rows, approved, latency),
        }
    return expected


def expected_of_support(approvals, feedback):
    waits = [
        (row["resolved_at"] - row["created_at"]).total_seconds()
        for row in approvals
        if is_within(row["resolved_at"])
    ]
    open_at_end = [
        row
        for row in approvals
        if row["created_at"] < END and (row["resolved_at"] is None or row["resolved_at"] >= END)
    ]
    judged = [
        row["safe_to_send"]
        for row in feedback
        if is_within(row["created_at"]) and row["safe_to_send"] is not None
    ]
    return {
        ("support_approvals_opened", ""): sum(is_within(row["created_at"]) for row in approvals),
        ("support_approvals_resolved", ""): len(waits),
        ("support_approvals_pending", ""): len(open_at_end),
        ("support_resolution_p50", ""): percentile(waits, 0.5),
        ("feedback_judged", ""): len(judged),
        ("feedback_unsafe", ""): judged.count(False),
    }


@pytest.mark.parametrize("draw", [1, 2, 3])
def test_values_equal_an_independent_computation(conn, compute, draw):
    rng = random.Random(f"rollup-{draw}")
    queries, approvals = random_queries(rng, 150), random_approvals(rng, 60)
    feedback = [
        {"safe_to_send": rng.choice((True, False, None)), "created_at": instants(rng)}
        for _ in range(60)
    ]
    for make, rows in (
        (make_query, queries),
        (make_approval, approvals),
        (make_feedback, feedback),
    ):
        for row in rows:
            make(conn, **row)

    report = compute()

    expected = expected_of_queries(queries) | expected_of_support(approvals, feedback)
    found = values(conn)
    assert {key: found[key] for key in found if key[0] in {name for name, _ in expected}} == (
        pytest.approx(expected, rel=1e-9)
    )
    assert report.rows == len(found)
    assert report.scopes == len(AGENTS)


def test_computing_twice_gives_the_same_rows(conn, compute):
    for row in random_queries(random.Random("twice"), 40):
        make_query(conn, **row)
    first = compute()
    before = facts(conn)

    second = compute()

    assert first == second
    assert facts(conn) == before


def test_computing_again_after_a_change_replaces_the_value(conn, compute):
    make_query(conn, created_at=START)
    compute()
    make_query(conn, created_at=START)

    compute()

    assert values(conn)["agent_queries", ""] == 2


def test_another_day_has_facts_of_its_own(conn, compute):
    make_query(conn, created_at=START)
    compute()

    compute("2026-11-22")

    rows = conn.execute(
        text(
            "select period_start, value from metric_facts where metric = 'agent_queries' and scope = ''"
        )
    ).all()
    assert dict(map(tuple, rows)) == {START: 1, START - timedelta(days=1): 0}


def test_an_empty_day_gives_zeros_and_reasons(conn, compute):
    compute()

    found = facts(conn)
    missing = {key[0]: reason for key, (value, _, _, reason) in found.items() if value is None}
    assert missing == {
        "activation_rate": "no_active_shops",
        "agent_approval_rate": "nothing_reviewed",
        "agent_edit_rate": "no_queries",
        "agent_latency_p50": "no_queries",
        "agent_latency_p95": "no_queries",
        "agent_quality_score": "nothing_reviewed",
        "decision_sync_failure_rate": "no_syncs",
        "feedback_judged_share": "no_drafts",
        "first_response_breach_rate": "no_conversations",
        "fulfillment_issue_rate": "no_orders",
        "sales_delta_24h": "no_baseline",
        "sales_delta_wow": "no_baseline",
        "order_value_change_30d": "no_orders",
        "returns_rate": "no_orders",
        "revenue_change_30d": "no_baseline",
        "sla_breach_rate": "no_open_conversations",
        "sla_resolution_p50": "no_breaches",
        "sla_resolution_p90": "no_breaches",
        "stock_items_at_risk": "no_stock",
        "support_resolution_p50": "nothing_resolved",
        "traffic_change_wow": "missing_days",
        "traffic_pages_falling": "missing_days",
    }
    assert {value for value, *_ in found.values()} == {0, None}
    assert {scope for _, scope in found} == {""}


def test_a_value_has_no_reason_and_a_missing_one_has_its_inputs(conn, compute):
    make_query(conn, created_at=START, approved=None)

    compute()

    found = facts(conn)
    assert found["agent_approval_rate", ""] == (
        None,
        "ratio",
        {"agent_approved": 0, "agent_reviewed": 0},
        "nothing_reviewed",
    )
    assert found["agent_queries", "support"] == (1, "count", {}, None)


def test_a_fact_says_its_level_its_limits_and_what_it_assumes(conn, compute):
    for _ in range(6):
        make_approval(conn, created_at=START)

    report = compute()

    row = conn.execute(
        text(
            "select value, level, spec from metric_facts where metric = 'support_approvals_pending'"
        )
    ).one()
    assert (row.value, row.level) == (6, "warn")
    assert row.spec == {
        "version": 1,
        "thresholds": {"warn": "value > 5", "crit": "value > 10"},
        "assumptions": [
            "An approval that was decided at an instant nobody wrote down was not open."
        ],
    }
    assert report.levels["warn"] == 1
    assert "1 warn" in report.summary


def test_an_approval_resolved_later_still_stood_open_that_day(conn, compute):
    make_approval(conn, created_at=START, status="approved", resolved_at=END + timedelta(hours=1))
    make_approval(conn, created_at=START, status="approved", resolved_at=END - MOMENT)

    compute()

    assert values(conn)["support_approvals_pending", ""] == 1


def test_a_question_of_no_named_agent_does_not_replace_the_total(conn, compute):
    """The total's scope is the empty one; an adopted table may hold empty agents."""
    make_query(conn, created_at=START, agent="support")
    make_query(conn, created_at=START, agent="")

    report = compute()

    assert values(conn)["agent_queries", ""] == 2
    assert report.rows == len(facts(conn))
