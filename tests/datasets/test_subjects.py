"""Every column with personal data is reached by an erasure, or says why not."""

from __future__ import annotations

import pytest

from ocd.datasets.facts import Pii
from ocd.datasets.registry import DATASETS
from ocd.datasets.subjects import Kind, Subject, parse, traces

#: Tables with personal data in which no customer can be told: why.
NOBODY = {
    "decision_sync_event_logs": "its payloads are searched by key; it names a decision, not a person",
    "shopify_inventory": "its shop is the desk's own",
}


@pytest.mark.parametrize(
    "dataset",
    [one for one in DATASETS if any(column.pii is not Pii.NONE for column in one.columns)],
    ids=lambda one: one.name,
)
def test_a_table_with_personal_data_can_be_searched_for_a_person(dataset):
    assert traces(dataset) or dataset.name in NOBODY


def test_a_table_with_a_conversation_is_found_by_it():
    tables = {one.name for one in DATASETS if any(c.name == "conversation_id" for c in one.columns)}

    found = {
        one.name
        for one in DATASETS
        if any(trace.kind is Kind.CONVERSATION and trace.key is None for trace in traces(one))
    }

    assert tables <= found
    assert len(tables) >= 7


def test_each_trace_is_a_column():
    for dataset in DATASETS:
        assert {one.column for one in traces(dataset)} <= {one.name for one in dataset.columns}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("conversation:1042", Subject(Kind.CONVERSATION, "1042")),
        (" customer : gid://shopify/Customer/7 ", None),
        ("customer:gid://shopify/Customer/7", Subject(Kind.CUSTOMER, "7")),
        ("order:gid://shopify/Order/9", Subject(Kind.ORDER, "9")),
        ("conversation:a:b", Subject(Kind.CONVERSATION, "a:b")),
        ("conversation:", None),
        ("person:1", None),
    ],
)
def test_a_line_names_a_subject_or_nothing(line, expected):
    assert parse(line) == expected
