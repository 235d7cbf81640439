"""A run that passes a limit asks; a second person's answer lets exactly that go on, and no more."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ocd.core.errors import ApprovalNeeded, ConfigError, PolicyRefused
from ocd.ledger import approvals

ASKS = {"share_percent": 35, "rows": 1200}


def ask(conn, run, fingerprint="plan-a", **asks):
    approvals.require(
        conn, run, fingerprint=fingerprint, asks=asks or ASKS, question="35 % of t would go"
    )


@pytest.fixture
def say_yes(db):
    """Approve what a run asks, as somebody."""

    def approve(run, *, by="mara", reason="agreed", may_be_same=False):
        with db.engine.begin() as conn:
            return approvals.approve(
                conn, run.id, reason=reason, approved_by=by, may_be_same=may_be_same
            )

    return approve


def test_nothing_is_asked_where_no_limit_is_passed(conn, start_run):
    approvals.require(conn, start_run(), fingerprint="plan-a", asks={}, question="nothing")

    assert approvals.approvals(conn, with_given=True) == []


def test_a_run_asks_once_and_says_how_to_answer(conn, start_run):
    run = start_run()

    for _ in range(2):
        with pytest.raises(ApprovalNeeded, match=rf"35 % of t would go; `ocd approve {run.id}"):
            ask(conn, run)

    (asked,) = approvals.approvals(conn)
    assert (asked["run_id"], asked["asks"], asked["approved_by"]) == (run.id, ASKS, None)
    assert asked["job"] == "test.job"


def test_an_approved_question_lets_the_run_go_on(conn, start_run, say_yes):
    run = start_run()
    with pytest.raises(ApprovalNeeded):
        ask(conn, run)
    say_yes(run)

    ask(conn, run)
    ask(conn, run, share_percent=20)  # less than was approved

    assert approvals.approvals(conn) == []
    (given,) = approvals.approvals(conn, with_given=True)
    assert (given["approved_by"], given["reason"]) == ("mara", "agreed")


@pytest.mark.parametrize(
    ("fingerprint", "asks"),
    [
        ("plan-b", ASKS),
        ("plan-a", {"share_percent": 36, "rows": 1200}),
        ("plan-a", ASKS | {"days": 7}),
    ],
    ids=["another plan", "more than approved", "another limit"],
)
def test_an_approval_covers_nothing_else(conn, start_run, say_yes, fingerprint, asks):
    run = start_run()
    with pytest.raises(ApprovalNeeded):
        ask(conn, run)
    say_yes(run)

    with pytest.raises(ApprovalNeeded):
        ask(conn, run, fingerprint, **asks)


def test_an_approval_is_for_its_run_only(conn, start_run, say_yes):
    run, other = start_run(), start_run(window="2026-11-24")
    with pytest.raises(ApprovalNeeded):
        ask(conn, run)
    say_yes(run)

    with pytest.raises(ApprovalNeeded):
        ask(conn, other)


def test_whoever_ordered_a_run_does_not_approve_it(conn, db, start_run, say_yes):
    run = start_run()
    with db.engine.begin() as other:
        other.execute(
            text("update ocd.run set requested_by = 'mara' where id = :id"), {"id": run.id}
        )
    with pytest.raises(ApprovalNeeded):
        ask(conn, run)

    with pytest.raises(PolicyRefused, match="another person"):
        say_yes(run, by="mara")
    assert len(approvals.approvals(conn)) == 1
    conn.rollback()

    assert say_yes(run, by="mara", may_be_same=True)["approved_by"] == "mara"


def test_an_answer_needs_a_question_and_a_reason(conn, start_run, say_yes):
    run = start_run()
    with pytest.raises(PolicyRefused, match="asks for nothing"):
        say_yes(run)

    with pytest.raises(ApprovalNeeded):
        ask(conn, run)
    with pytest.raises(ConfigError, match="--reason"):
        say_yes(run, reason=" ")
    assert len(approvals.approvals(conn)) == 1
