"""What is shown is what is run: the statement can be pasted, and its cost is the planner's."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ocd.quality.explain import explain
from ocd.quality.files import load
from tests.factories.clock import NOW
from tests.quality.conftest import rule_of
from tests.quality.test_every_kind import BROKEN, ROWS


def test_every_shown_statement_of_the_shipped_rules_can_be_run(conn):
    found = explain(conn, load(), now=NOW)

    for one in found:
        assert one.cost is None or one.cost > 0
        assert [(rule.rule, rule.refusal) for rule in one.rules if rule.refusal] == []
        if one.sql:
            assert conn.execute(text(one.sql.replace(":", "\\:"))).one().n == 0
    assert {rule.how for one in found for rule in one.rules} == {
        "proven by a constraint",
        "in the scan",
        "on its own",
        "from the catalog",
    }


@pytest.mark.usefixtures("play")
def test_every_kind_has_a_statement_and_a_cost(conn):
    rules = [
        rule_of(rule.kind, f"r{n}", *rule.columns, params=rule.params, filter=rule.filter)
        for n, (rule, _, _) in enumerate(ROWS.values())
    ]

    (found,) = explain(conn, rules, now=NOW)

    assert [one for one in found.rules if not (one.cost and one.sql)] == []


@pytest.mark.usefixtures("play")
def test_a_broken_rule_says_why_and_the_others_have_their_cost(conn):
    good = rule_of(ROWS["filled"][0].kind, "good", "name")

    (found,) = explain(conn, [good, BROKEN["no such column"]], now=NOW)

    costs = {one.rule: (one.cost, one.refusal) for one in found.rules}
    assert costs["thing.good"][0] > 0
    assert costs["thing.broken"][0] is None
    assert "UndefinedColumn" in costs["thing.broken"][1]
