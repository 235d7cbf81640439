"""`ocd purge plan`, `ocd policy`, and a purge that asks, on the task layer of this process."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.clock import utc_now
from ocd.core.errors import ApprovalNeeded, ConfigError, OcdError, PolicyRefused
from ocd.ledger import approvals, incidents
from tasks import runtime
from tasks.cli import cli
from tests.factories.agents import make_approval
from tests.lifecycle.rows import add_queries, ids

TODAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
OLD = TODAY - timedelta(days=20)


@pytest.fixture
def desk(task_layer, tmp_path, conn):
    """A thousand questions, three in ten of them 20 days old, and artifacts of this test's own."""
    runtime.use(
        runtime.environment()
        | {"OCD_PURGE_ENABLED": "true", "OCD_ARTIFACT_URL": str(tmp_path / "artifacts")}
    )
    add_queries(conn, 300, created_at=OLD)
    add_queries(conn, 700, created_at=TODAY)
    return conn


@pytest.fixture
def ocd(desk, capsys):
    """Type `ocd …`; returns what it printed."""

    def typed(*arguments):
        capsys.readouterr()
        assert not cli.main(args=list(arguments), prog_name="ocd", standalone_mode=False)
        return capsys.readouterr().out

    return typed


def test_the_plan_says_what_would_go_what_it_asks_and_what_refuses_it(ocd):
    (one,) = json.loads(ocd("purge", "plan", "agent_queries", "--days", "10", "--json"))

    assert (one["rows"], one["table_rows"]) == (300, 1000)
    assert one["rows_by_rule"] == {"slow": 0, "fast": 300}
    assert one["oldest"] == one["newest"] == OLD.isoformat()
    assert one["estimated_bytes"] > 0
    assert one["share_percent"] == 30
    assert one["sample_keys"] == [1, 2, 3, 4, 5]
    assert one["asks"] == {"share_percent": 30, "below_policy_days": 20}
    assert one["refused"].startswith("agent_queries: no verified backup")


def test_the_plan_of_everything_is_a_table_that_people_read(ocd, desk):
    ocd("hold", "place", "agent_queries", "--conversation", "c1", "--reason", "case 7")
    ocd("hold", "place", "agent_feedback", "--reason", "case 7")
    make_approval(desk, created_at=TODAY - timedelta(days=99))
    desk.commit()

    said = " ".join(ocd("purge", "plan", "--days", "10").split())

    assert "1 pending for over 90 days" in said
    assert "29.4" in said  # 294 of 1000, six are held
    assert "such as " in said
    assert "6 more are held (hold 1)" in said
    assert "a legal hold covers every row" in said
    assert "no verified backup" in said
    assert "shopify_inventory" in said
    assert "metric_facts" not in said


def test_policy_is_lengthened_listed_and_restored(ocd):
    ocd("policy", "set", "agent_queries", "fast", "--days", "365", "--reason", "audit")
    listed = {
        one["rule"]: one for one in json.loads(ocd("policy", "list", "agent_queries", "--json"))
    }
    shown = ocd("policy", "list")
    ocd("policy", "set", "agent_queries", "fast", "--days", "90", "--reason", "shorter audit")
    ocd("policy", "unset", "agent_queries", "fast")
    after = {
        one["rule"]: one for one in json.loads(ocd("policy", "list", "agent_queries", "--json"))
    }

    assert (listed["fast"]["keep_days"], listed["fast"]["own_days"]) == (365, 30)
    assert listed["slow"]["set_by"] is None
    assert "audit" in shown
    assert (after["fast"]["keep_days"], after["fast"]["set_by"]) == (30, None)
    with pytest.raises(ConfigError, match="no policy row lengthens rule fast"):
        ocd("policy", "unset", "agent_queries", "fast")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("agent_queries", "fast", "--days", "29"), "a policy row can only lengthen that"),
        (("agent_queries", "fest", "--days", "99"), "did you mean 'fast'"),
        (("agent_approvals", "pending", "--days", "99"), "kept for ever already"),
        (("metric_facts", "all", "--days", "99"), "is kept for ever"),
    ],
    ids=["shorter", "unknown rule", "endless rule", "endless table"],
)
def test_a_policy_row_that_makes_no_sense_is_refused(ocd, arguments, says):
    with pytest.raises(OcdError, match=says):
        ocd("policy", "set", *arguments, "--reason", "x")


def test_a_policy_row_says_why(ocd):
    with pytest.raises(ConfigError, match="say why"):
        ocd("policy", "set", "agent_queries", "fast", "--days", "99", "--reason", " ")


@pytest.mark.parametrize("command", [("purge", "plan"), ("run",)], ids=["plan", "run"])
def test_days_are_a_number_of_days(ocd, command):
    from tasks.lifecycle import purge

    with pytest.raises(ConfigError, match="--days"):
        if command == ("run",):
            purge(dataset="agent_queries", days=-1)
        else:
            ocd(*command, "--days", "-1")


def test_a_purge_that_asks_opens_one_incident_and_is_done_once_approved(desk, prove):
    from tasks.lifecycle import purge

    prove()
    for _ in range(2):
        with pytest.raises(ApprovalNeeded, match="20 days before policy allows"):
            purge(dataset="agent_queries", days=10)
    (asked,) = approvals.approvals(desk)
    (opened,) = incidents.incidents(desk)
    assert len(ids(desk, "agent_queries")) == 1000
    approvals.approve(desk, asked["run_id"], reason="agreed", approved_by="mara", may_be_same=True)
    desk.commit()

    report = purge(dataset="agent_queries", days=10)

    assert (opened["error_class"], report.rows) == ("ApprovalNeeded", 300)
    assert incidents.incidents(desk) == []
    row = desk.execute(
        text("select state, evidence -> 'asks' as asks from ocd.run where id = :id"),
        {"id": asked["run_id"]},
    ).one()
    assert (row.state, row.asks) == ("done", {"share_percent": 30, "below_policy_days": 20})


def test_a_purge_that_is_switched_off_is_refused(desk, prove):
    from tasks.lifecycle import purge

    prove()
    runtime.use(runtime.environment() | {"OCD_PURGE_ENABLED": "false"})
    runtime.release()

    with pytest.raises(PolicyRefused, match="OCD_PURGE_ENABLED"):
        purge(dataset="agent_queries")

    assert len(ids(desk, "agent_queries")) == 1000


def test_the_settings_limits_count(desk, prove):
    from tasks.lifecycle import purge

    prove()
    runtime.use(runtime.environment() | {"OCD_PURGE_MAX_ROWS": "299"})
    runtime.release()

    with pytest.raises(ApprovalNeeded, match="300 rows would be deleted"):
        purge(dataset="agent_queries", days=10)
