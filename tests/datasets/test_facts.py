"""Facts say enough to classify, expire and back up every column and row."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from ocd.datasets.access import ROLES
from ocd.datasets.facts import Pii
from ocd.datasets.registry import DATASETS

each_dataset = pytest.mark.parametrize("facts", DATASETS, ids=lambda one: one.name)
each_expiring = pytest.mark.parametrize(
    "facts", [one for one in DATASETS if one.retention], ids=lambda one: one.name
)


@each_dataset
def test_every_column_says_what_it_means_in_one_line(facts):
    poor = [one.name for one in facts.columns if not re.fullmatch(r"\S.*[.]", one.comment)]

    assert poor == []


@each_dataset
def test_every_column_has_a_class_of_personal_data(facts):
    assert all(isinstance(one.pii, Pii) for one in facts.columns)


#: Text in which only words of a program's own stand, never what people write.
CLOSED = {
    "agent",
    "agent_name",
    "category",
    "category_l1",
    "category_l2",
    "category_l3",
    "content_sha256",
    "currency",
    "delivery_id",
    "display_financial_status",
    "display_fulfillment_status",
    "error_code",
    "evidence_url",
    "fact_type",
    "input_kind",
    "inputs",
    "inventory_policy",
    "inventory_velocity",
    "key",
    "level",
    "lifecycle_stage",
    "meta",
    "metric",
    "origin",
    "payload_sha256",
    "primary_segment",
    "priority",
    "product_id",
    "product_title",
    "project",
    "property",
    "raw_status",
    "reason",
    "report",
    "resolution",
    "rubric",
    "scope",
    "sender_type",
    "site",
    "sku",
    "source_id",
    "source_url",
    "spec",
    "status",
    "time_zone",
    "title",
    "top_category_l1",
    "top_category_l2",
    "topic",
    "totals",
    "unit",
    "variant_id",
    "variant_title",
    "warnings",
}
#: What our own code writes about runs, from counts and keys.
OURS = {
    "check_name",
    "column_name",
    "dataset",
    "detail",
    "dimension",
    "error_class",
    "error_message",
    "event",
    "fields",
    "figures",
    "level",
    "nulls",
    "outcome",
    "stats",
    "rule",
    "rule_version",
    "severity",
    "traceback",
    "worker",
}


@each_dataset
def test_columns_that_take_what_people_write_are_not_classed_as_free_of_it(facts):
    """jsonb and text may hold anything, unless a closed set of words is all that belongs there."""
    closed = CLOSED | OURS if facts.schema == "ocd" else CLOSED
    anything = {one for one in facts.columns if one.type in {"text", "jsonb"}}

    assert {one.name for one in anything if one.pii is Pii.NONE} <= closed


@each_expiring
def test_every_row_is_decided_by_a_retention_rule(facts):
    """The last rule takes all others; one before it without a condition would hide the rest."""
    conditions = [rule.where for rule in facts.retention.rules]

    assert conditions[-1] is None
    assert None not in conditions[:-1]


@each_expiring
def test_what_may_be_deleted_is_backed_up(facts):
    """A purge asks for a verified backup of the very table, so without one it could never run."""
    assert facts.is_backed_up


@each_expiring
def test_retention_conditions_are_ones_over_the_live_table(conn, facts):
    found = [
        conn.execute(text(f"select {rule.since} from {facts.table} where {rule.where or 'true'}"))
        for rule in facts.retention.rules
    ]

    assert [list(one.keys()) for one in found] == [[rule.since] for rule in facts.retention.rules]


@each_dataset
def test_every_right_is_of_a_known_role_and_named_once(facts):
    rights = [(one.role, verb) for one in facts.access for verb in one.verbs]

    assert {role for role, _ in rights} <= set(ROLES) - {"anon"}
    assert len(set(rights)) == len(rights)


@each_dataset
def test_rights_to_columns_name_columns_that_exist(facts):
    named = {column for one in facts.access for column in one.columns}

    assert named <= {one.name for one in facts.columns}


@each_dataset
def test_it_says_what_fills_it(facts):
    assert facts.feed.inputs


def test_personal_data_of_mirrors_and_logs_expires():
    """What holds people's words and is not kept as a decision has an end."""
    kept = {facts.name for facts in DATASETS if facts.retention is None}

    assert kept == {
        "customer_segments",
        "ga_partitions",
        "metric_facts",
        "product_categories",
        "sitemap_snapshots",
        "support_curated_replies",
    }


@each_dataset
def test_names_are_used_once(facts):
    columns = [one.name for one in facts.columns]
    rules = [rule.name for rule in facts.retention.rules] if facts.retention else []

    assert len(set(columns)) == len(columns)
    assert len(set(rules)) == len(rules)
    assert {facts.key, facts.event_time} <= set(columns)
