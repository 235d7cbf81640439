"""A rule that could not be asked is refused when it is read, with file and name."""

from __future__ import annotations

import pytest
import yaml

from ocd.core.errors import ConfigError, UnknownName
from ocd.quality.files import chosen, load
from ocd.quality.rule import Kind, Severity, Slo, Tolerance
from tests.quality.conftest import THING

GOOD = {"id": "r", "metric": "nullValues", "dimension": "completeness", "description": "D."}


def own(**implementation):
    return {
        "id": "r",
        "type": "custom",
        "engine": "ocd",
        "dimension": "validity",
        "description": "D.",
        "implementation": implementation,
    }


@pytest.fixture
def read(tmp_path):
    def deed(*checks, column="name", table="thing", **facts):
        of_table = {"quality": list(checks)} if column is None else {}
        of_column = [] if column is None else [{"name": column, "quality": list(checks)}]
        body = {"name": table, "properties": of_column} | of_table | facts
        (tmp_path / "some.yml").write_text(yaml.safe_dump({"schema": [body]}))
        return load(tmp_path, [THING])

    return deed


BAD = {
    "no dimension": ({k: v for k, v in GOOD.items() if k != "dimension"}, "'dimension' is missing"),
    "an unknown dimension": (GOOD | {"dimension": "beauty"}, "beauty"),
    "an unknown severity": (GOOD | {"severity": "grave"}, "grave"),
    "an unknown word": (GOOD | {"leniency": 1}, "unknown words: leniency"),
    "an unknown metric": (GOOD | {"metric": "nulls"}, "nulls"),
    "another engine": (own(kind="range", min=1) | {"engine": "soda"}, "engine: ocd"),
    "an unknown kind": (own(kind="magic"), "magic"),
    "a range without bounds": (own(kind="range"), "min, max or both"),
    "an age without a unit": (own(kind="freshness", within="2"), "minutes, hours or days"),
    "an unknown statistic": (
        own(kind="distribution", measure="mode", min=1),
        "it can measure mean",
    ),
    "an unknown expression": (own(kind="python", expression="eval", arguments={}), "eval"),
    "a file that is not there": (own(kind="sql", file="gone.sql"), "gone.sql"),
    "a pattern that is none": (
        GOOD | {"metric": "invalidValues", "arguments": {"pattern": "("}},
        "rule thing.r",
    ),
    "a column that is not there": (own(kind="range", columns=["gone"], min=1), "no column gone"),
    "a bound that is no tolerance": (GOOD | {"mustBeGreaterThan": 3}, "mustBeLessOrEqualTo"),
}


@pytest.mark.parametrize(("check", "message"), BAD.values(), ids=BAD)
def test_it_is_refused_with_file_and_rule(read, check, message):
    with pytest.raises(ConfigError, match="some.yml: rule thing.r") as refused:
        read(check)

    assert message in str(refused.value)


def test_a_rule_of_a_column_needs_one(read):
    with pytest.raises(ConfigError, match="it belongs under a property"):
        read(GOOD, column=None)


def test_the_same_id_twice_is_refused(read):
    with pytest.raises(ConfigError, match="said twice"):
        read(GOOD, GOOD)


def test_a_table_that_is_no_dataset_says_its_key(read):
    with pytest.raises(ConfigError, match="primaryKey"):
        read(GOOD, table="elsewhere")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"schema: [", "some.yml: while parsing"),
        (b"schema: '\xff'", "some.yml: 'utf-8'"),
        (b"", "under `schema`"),
        (b"- name: thing", "under `schema`"),
        (b"schema: thing", "under `schema`"),
        (b"schema: [thing]", "needs a name"),
        (b"schema: [{quality: []}]", "needs a name"),
        (b"schema: [{name: thing, properties: [{quality: []}]}]", "needs a name"),
    ],
)
def test_a_file_that_is_no_contract_is_refused_by_name(tmp_path, written, message):
    (tmp_path / "some.yml").write_bytes(written)

    with pytest.raises(ConfigError, match="some.yml: ") as refused:
        load(tmp_path, [THING])

    assert message in str(refused.value)


def test_everything_that_can_be_said_is_read(read):
    more = {
        "mustBeLessOrEqualTo": 2,
        "unit": "percent",
        "severity": "block",
        "dimension": "conformity",
        "customProperties": [
            {"property": "filter", "value": "is_ok"},
            {"property": "owner", "value": "mara"},
            {"property": "slo", "value": 0.999},
            {"property": "sloDays", "value": 30},
            {"property": "remedy", "value": "Mend it."},
        ],
    }

    (rule,) = read(GOOD | more)

    assert (rule.id, rule.kind, rule.severity) == ("thing.name.r", Kind.NOT_NULL, Severity.BLOCK)
    assert (rule.filter, rule.owner, rule.remedy) == ("is_ok", "mara", "Mend it.")
    assert (rule.tolerance, rule.promised) == (Tolerance(share=0.02), Slo(0.999, 30))
    assert rule.dimension == "validity"


def test_a_rule_is_new_when_its_statement_or_function_is(read, tmp_path):
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "a.sql").write_text("select 1")
    (before,) = read(own(kind="sql", file="a.sql"), column=None)
    (tmp_path / "sql" / "a.sql").write_text("select 2")

    (after,) = read(own(kind="sql", file="a.sql"), column=None)

    assert before.version != after.version


def test_one_rule_or_one_table_can_be_chosen(read):
    rules = load()

    assert {one.source.name for one in chosen(rules, dataset="facts")} == {"facts"}
    assert len(chosen(rules, rule="facts.topic.filled")) == 1
    with pytest.raises(UnknownName, match="did you mean 'facts'"):
        chosen(rules, dataset="fatcs")
    with pytest.raises(UnknownName, match="did you mean 'facts.topic.filled'"):
        chosen(rules, rule="facts.topic.filed")
    with pytest.raises(UnknownName, match="quality rule"):
        chosen(rules, dataset="agent_queries", rule="facts.topic.filled")
