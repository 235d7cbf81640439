"""Every rule that is shipped finds a row that breaks it, in a copy of its table without constraints."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import click
import psycopg
import pytest

from ocd.datasets.registry import DATASETS
from ocd.quality.files import load
from ocd.quality.rule import Kind, Severity
from tasks import cli
from tests.factories.clock import NOW

RULES = load()
SAID = {one.name: one for one in DATASETS}
#: Value of a column that breaks a rule of a kind, as SQL; None: the kind's own columns below.
SPOILT = {
    Kind.NOT_NULL: "null",
    Kind.FILLED: "' '",
    Kind.REGEX: "'!'",
    Kind.LENGTH: "'x'",
}
#: Columns that break a condition, as SQL.
CONDITIONS = {
    "agent_run.ended.says.how": {"ended_at": "null", "resolution": "'resolved'"},
    "agent_run.ended_at.order": {"ended_at": "'2020-01-01'", "started_at": "'2020-01-02'"},
    "dashboard_facts.period.order": {"period_end": "'2020-01-01'", "period_start": "'2020-01-02'"},
    "dashboard_facts.period.whole": {"period_end": "'2020-01-01'", "period_start": "null"},
    "metric_facts.value.or.reason": {"value": "null", "reason": "' '"},
    "metric_facts.period.order": {"period_end": "'2020-01-01'", "period_start": "'2020-01-01'"},
    "gold_reply_submissions.decided.whole": {
        "status": "'pending'",
        "reviewed_at": "now()",
        "reviewed_by": "'a'",
    },
    "customer_segments.orders.dated": {"total_orders": "1", "first_ordered_at": "null"},
    "chatwoot_conversations.first_reply_at.order": {
        "first_reply_at": "'2020-01-01'",
        "created_at": "'2020-01-02'",
    },
    "chatwoot_conversations.last_activity_at.order": {
        "last_activity_at": "'2020-01-01'",
        "created_at": "'2020-01-02'",
    },
    "shopify_orders.cancelled_at.order": {
        "cancelled_at": "'2020-01-01'",
        "created_at": "'2020-01-02'",
    },
    "facts.value.filled": {"value": "'null'"},
}
AGENT_TABLES = ("agent_approvals", "agent_feedback", "agent_queries")
#: What `test_every_rule` shows with valid rows around is not shown again here.
ABOUT_ROWS = [
    one
    for one in RULES
    if not one.is_of_table
    and one.kind not in {Kind.UNIQUE, Kind.SQL}
    and one.source.name not in AGENT_TABLES
]


def spoilt(rule):
    """Columns, as SQL, that break the rule."""
    if rule.id in CONDITIONS:
        return CONDITIONS[rule.id]
    value = SPOILT.get(rule.kind)
    if rule.kind is Kind.RANGE:
        value = beyond(rule)
    elif rule.kind is Kind.SET:
        value = "'?'" if isinstance(rule.params["values"][0], str) else "-7"
    elif rule.kind is Kind.REFERENCE:
        return {name: orphaned(rule, name) for name in rule.columns}
    return {rule.columns[0]: value}


def beyond(rule):
    low = rule.params.get("min")
    if isinstance(low, str):
        return f"{low} - interval '1 day'"
    return str(low - 1)


def orphaned(rule, name):
    kind = rule.source.columns[name][0]
    return {"uuid": "gen_random_uuid()", "text": "'nobody'"}.get(kind, "999")


@pytest.fixture
def copied(db):
    """Copy a table without its constraints, plant a row per rule, and return the rules for the copy."""

    def deed(rules):
        source = rules[0].source
        copy = f"copied.{source.relation}"
        with psycopg.connect(db.owner_url, autocommit=True) as owner:
            owner.execute("create schema copied")
            owner.execute(f"create table {copy} as select * from {source.table} limit 0")
            for key, rule in enumerate(rules):
                columns = {"id": str(key)} | spoilt(rule)
                owner.execute(
                    f"insert into {copy} ({', '.join(columns)}) values ({', '.join(columns.values())})"
                )
            owner.execute("grant usage on schema copied to ocd_worker")
            owner.execute("grant select on all tables in schema copied to ocd_worker")
        return [replace(rule, source=replace(source, table=copy)) for rule in rules]

    return deed


@pytest.mark.parametrize("table", sorted({one.source.name for one in ABOUT_ROWS}))
def test_each_finds_the_row_that_breaks_it(copied, check_quality, store, table):
    rules = copied([one for one in ABOUT_ROWS if one.source.name == table])

    report = check_quality(rules)

    told = json.loads(b"".join(store.open(report.artifact)))["rules"]
    missed = [
        one.id
        for key, (one, found) in enumerate(zip(rules, told, strict=True))
        if one.id != found["id"] or key not in found["sample_keys"]
    ]
    assert missed == []


def test_ids_and_versions_are_used_once():
    assert len({one.id for one in RULES}) == len(RULES)
    assert len({one.version for one in RULES}) == len(RULES)


def test_a_rule_says_whose_it_is_and_what_it_wants():
    assert [one.id for one in RULES if not one.text.endswith(".") or not one.owner] == []


@pytest.mark.parametrize("advice", sorted({one.advice for one in RULES}))
def test_a_remedy_is_said_and_names_commands_that_exist(advice):
    assert advice.endswith(".")
    assert "{" not in advice
    for said in re.findall(r"`ocd ([^`]+)`", advice):
        command = cli.cli
        for word in said.split():
            if not isinstance(command, click.Group):
                break
            command = command.get_command(click.Context(command), word)
            assert command is not None, f"there is no `ocd {said}`"


def test_every_table_that_is_filled_has_rules():
    """The ledger's own details are counted and keyed by the ledger itself."""
    ruled = {one.source.name for one in RULES}

    assert {one.name for one in DATASETS if one.schema != "ocd"} <= ruled


def test_what_decides_about_deletion_is_guarded_by_a_blocking_rule():
    blocking = {(one.source.name, *one.columns) for one in RULES if one.severity is Severity.BLOCK}
    deciding = {
        (facts.name, rule.since)
        for facts in DATASETS
        if facts.retention and facts.schema != "ocd"
        for rule in facts.retention.rules
    }

    assert deciding - blocking == set()


def test_the_seeded_database_breaks_no_rule_of_the_whole(check_quality):
    """Nothing is broken, and nothing but emptiness is told of empty tables."""
    report = check_quality(now=NOW)

    assert {one.rule for one in report.findings} == {
        f"{name}.volume" for name in (*AGENT_TABLES, "agent_run")
    }
