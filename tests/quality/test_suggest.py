"""Rules are proposed from what rows share, written only where asked, and hold for the rows they came from."""

from __future__ import annotations

from decimal import Decimal

import pytest
import yaml

from ocd.datasets.agents import AGENT_QUERIES
from ocd.quality.files import load
from ocd.quality.profile.columns import ColumnProfile, Kind, TableProfile
from ocd.quality.rule import Kind as RuleKind
from ocd.quality.suggest import LEAST_ROWS, as_document, suggest
from tests.factories.clock import NOW

WORDS = {"top": [("data", 0.5), ("support", 0.5)], "is_closed": True, "distinct": 2}
NUMBERS = {"min": 20, "max": 419, "points": [], "edges": [20.0, 100.0, 419.0], "distinct": 400}


def column(name, kind, nulls=0, rows=1_000, **stats):
    return ColumnProfile(name, kind, rows, nulls, stats)


def proposed(*columns, rows=1_000, known=()):
    found = suggest(AGENT_QUERIES, TableProfile("agent_queries", rows, columns, NOW), known=known)
    return {one.name: one for one in found}


def test_a_closed_set_of_words_becomes_a_vocabulary():
    body = proposed(column("agent", Kind.TEXT, **WORDS))["agent.known"].body

    assert body["arguments"] == {"validValues": ["data", "support"]}
    assert (body["metric"], body["mustBe"]) == ("invalidValues", 0)


@pytest.mark.parametrize(
    ("name", "stats"),
    [("agent", WORDS | {"is_closed": False}), ("conversation_id", WORDS), ("query", WORDS)],
    ids=["open", "an id", "people's words"],
)
def test_words_that_are_not_all_or_are_personal_are_never_named(name, stats):
    found = proposed(column(name, Kind.TEXT, **stats))

    assert f"{name}.known" not in found
    assert "support" not in str([one.body for one in found.values()])


@pytest.mark.parametrize(
    ("least", "most", "low", "high"),
    [(20, 419, 0, 500), (0, 60_000, 0, 60_000), (-3, 7, -3, 7), (0.01, 0.31, 0, 0.4)],
)
def test_a_range_ends_at_round_numbers(least, most, low, high):
    stats = NUMBERS | {"min": least, "max": most}

    body = proposed(column("latency_ms", Kind.NUMBER, **stats))["latency_ms.range"].body

    assert body["implementation"] == {"kind": "range", "min": low, "max": high}


@pytest.mark.parametrize(
    ("nulls", "bound"),
    [
        (0, {"mustBe": 0}),
        (3, {"mustBeLessOrEqualTo": 0.3, "unit": "percent"}),
        (10, {"mustBeLessOrEqualTo": 1, "unit": "percent"}),
        (11, None),
    ],
)
def test_a_column_that_is_hardly_ever_null_should_be_given(nulls, bound):
    found = proposed(column("latency_ms", Kind.NUMBER, nulls, **NUMBERS))

    body = found["latency_ms.given"].body if "latency_ms.given" in found else None
    assert (body is None) == (bound is None)
    assert bound is None or bound.items() <= body.items()


def test_a_value_of_its_own_in_each_row_should_stay_so_except_for_the_key():
    found = proposed(
        column("id", Kind.NUMBER, distinct=1_000), column("query", Kind.TEXT, distinct=1_000)
    )

    assert "query.unique" in found
    assert "id.unique" not in found


def test_few_rows_propose_nothing_and_known_rules_are_not_proposed_again():
    agent = column("agent", Kind.TEXT, **WORDS)

    assert proposed(agent, rows=LEAST_ROWS - 1) == {}
    assert set(proposed(agent)) - set(proposed(agent, known=("volume",))) == {"volume"}


def test_the_document_has_the_shape_of_the_rule_files():
    found = suggest(
        AGENT_QUERIES,
        TableProfile("agent_queries", 1_000, (column("agent", Kind.TEXT, **WORDS),), NOW),
    )

    document = yaml.safe_load(yaml.safe_dump(as_document(AGENT_QUERIES, found)))

    (table,) = document["schema"]
    assert (document["kind"], table["name"]) == ("DataContract", "agent_queries")
    assert [one["id"] for one in table["quality"]] == ["volume"]
    assert [one["name"] for one in table["properties"]] == ["agent"]
    assert all(
        {"id", "dimension", "severity", "description"} <= set(body)
        for item in table["properties"]
        for body in item["quality"]
    )


def test_a_decimal_of_the_scan_is_a_plain_number_in_the_file():
    stats = NUMBERS | {"min": Decimal("0.5"), "max": Decimal("12.25")}

    found = suggest(
        AGENT_QUERIES,
        TableProfile("q", 1_000, (column("latency_ms", Kind.NUMBER, **stats),), NOW),
    )

    assert "max: 20" in yaml.safe_dump(as_document(AGENT_QUERIES, found))


def test_the_engine_reads_what_is_proposed(tmp_path):
    columns = (
        column("agent", Kind.TEXT, **WORDS),
        column("latency_ms", Kind.NUMBER, 3, **NUMBERS),
        column("query", Kind.TEXT, distinct=1_000),
    )
    found = suggest(AGENT_QUERIES, TableProfile("agent_queries", 1_000, columns, NOW))
    path = tmp_path / "proposed.yml"
    path.write_text(yaml.safe_dump(as_document(AGENT_QUERIES, found), sort_keys=False))

    rules = {one.id.removeprefix("agent_queries."): one for one in load(tmp_path)}

    assert set(rules) == {one.name for one in found}
    assert {one.kind for one in rules.values()} == {
        RuleKind.VOLUME,
        RuleKind.SET,
        RuleKind.NOT_NULL,
        RuleKind.RANGE,
        RuleKind.UNIQUE,
    }
    assert rules["latency_ms.given"].tolerance.share == 0.003
