"""Facts say enough to classify, expire and back up every column and row."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from ocd.datasets.facts import Pii
from ocd.datasets.registry import DATASETS

each_dataset = pytest.mark.parametrize("facts", DATASETS, ids=lambda one: one.name)


@each_dataset
def test_every_column_says_what_it_means_in_one_line(facts):
    poor = [one.name for one in facts.columns if not re.fullmatch(r"\S.*[.]", one.comment)]

    assert poor == []


@each_dataset
def test_every_column_has_a_class_of_personal_data(facts):
    assert all(isinstance(one.pii, Pii) for one in facts.columns)


@each_dataset
def test_columns_that_take_what_people_write_are_not_classed_as_free_of_it(facts):
    """jsonb and text may hold anything, unless a closed set of words is all that belongs there."""
    closed = {"agent", "status", "rubric", "meta"}
    if facts.schema == "ocd":
        closed |= {"worker", "outcome", "error_class", "error_message", "traceback"}
        closed |= {"level", "event", "fields"}  # written by our code, from counts and keys
    anything = {one for one in facts.columns if one.type in {"text", "jsonb"}}

    assert {one.name for one in anything if one.pii is Pii.NONE} <= closed


@each_dataset
def test_every_row_is_decided_by_a_retention_rule(facts):
    """The last rule takes all others; one before it without a condition would hide the rest."""
    conditions = [rule.where for rule in facts.retention.rules]

    assert conditions[-1] is None
    assert None not in conditions[:-1]


@each_dataset
def test_retention_conditions_are_ones_over_the_live_table(conn, facts):
    for rule in facts.retention.rules:
        conn.execute(
            text(f"select {rule.since} from {facts.table} where {rule.where or 'true'} limit 0")
        )


@each_dataset
def test_names_are_used_once(facts):
    columns = [one.name for one in facts.columns]
    rules = [rule.name for rule in facts.retention.rules]

    assert len(set(columns)) == len(columns)
    assert len(set(rules)) == len(rules)
    assert {facts.key, facts.event_time} <= set(columns)
