"""A specification says enough, and one that the compiler could not carry out is refused by name."""

from __future__ import annotations

import pytest
import yaml

from ocd.analytics.kpis.files import FOLDER, load
from ocd.core.errors import ConfigError, UnknownName
from ocd.core.settings import PROJECT

SPECS = load()
MODEL = {
    "semantic_model": {
        "name": "things",
        "description": "Things.",
        "node_relation": {"schema_name": "public", "alias": "things"},
        "defaults": {"agg_time_dimension": "made_at"},
        "entities": [{"name": "thing", "type": "primary", "expr": "id"}],
        "dimensions": [
            {"name": "made_at", "type": "time", "expr": "made"},
            {"name": "colour", "type": "categorical"},
        ],
    }
}


def simple(name="many", **changes):
    body = {
        "name": name,
        "description": "How many.",
        "type": "simple",
        "type_params": {
            "metric_aggregation_params": {"semantic_model": "things", "agg": "sum"},
            "expr": "1",
        },
    }
    return {"metric": body | changes}


def derived(expr, *names, **changes):
    params = {"expr": expr, "metrics": [{"name": one} for one in names]}
    body = {"name": "made", "description": "Made.", "type": "derived", "type_params": params}
    return {"metric": body | changes}


def meta(**words):
    return {"config": {"meta": {"version": 1, "owner": "us", "unit": "count"} | words}}


@pytest.fixture
def written(tmp_path):
    """Write documents to a folder and load it."""

    def deed(*documents):
        (tmp_path / "some.yml").write_text(yaml.safe_dump_all([MODEL, *documents]))
        return load(tmp_path)

    return deed


def test_the_documentation_shows_the_very_files():
    assert (PROJECT / "docs" / "data").resolve() == FOLDER.resolve()


@pytest.mark.parametrize("name", SPECS.kpis())
def test_a_kpi_says_who_owns_it_and_why_it_may_be_missing(name):
    metric, kpi = SPECS.kpis()[name]

    assert metric.description.endswith(".")
    assert kpi.owner
    assert kpi.version >= 1
    can_be_null = metric.fill is None
    assert bool(kpi.reasons) is can_be_null


def test_every_metric_is_a_kpi_or_an_input_of_one():
    used = {name for metric, kpi in SPECS.kpis().values() for name in (*metric.inputs, *kpi.inputs)}

    assert set(SPECS.metrics) - set(SPECS.kpis()) - used == set()


def test_every_figure_of_the_desk_has_a_specification():
    assert {
        "activation_rate",
        "first_response_breach_rate",
        "fulfillment_issue_rate",
        "inventory_cover",
        "order_value_change_30d",
        "returns_rate",
        "revenue_change_30d",
        "sales_delta_24h",
        "sales_delta_wow",
        "sla_breach_rate",
        "sla_resolution_p50",
        "sla_resolution_p90",
        "stock_items_at_risk",
        "support_approvals_pending",
        "support_customers_waiting",
        "traffic_change_wow",
        "traffic_pages_falling",
    } <= set(SPECS.kpis())


def test_a_new_figure_is_a_file_and_no_code(written):
    specs = written(simple(filter="{{ Dimension('thing__colour') }} = 'red'", **meta()))

    assert specs.metrics["many"].condition == "(colour) = 'red'"
    assert list(specs.kpis()) == ["many"]


FAULTS = {
    "an input that is nowhere": ([derived("no + 1", "no")], "metric made: no is not a metric"),
    "a circle": ([derived("made + 1", "made")], "metric made: made computes with itself"),
    "the same name twice": ([simple(), simple()], "many is said twice"),
    "a name in capitals": ([simple("Many")], "'Many' is no name"),
    "two underscores": ([simple("too__many")], "'too__many' is no name"),
    "another type": ([simple(type="conversion")], "type conversion is not supported"),
    "a filter by what is not there": (
        [simple(filter="{{ Dimension('thing__size') }}")],
        "its filter names thing__size, which things has not",
    ),
    "a filter by time": (
        [simple(filter="{{ TimeDimension('thing__made_at', 'day') }} > '2026-01-01'")],
        "something else than a dimension",
    ),
    "a filter above its inputs": (
        [simple(), derived("many", "many", filter="true")],
        "a filter belongs to its inputs",
    ),
    "a word that nobody knows": ([simple(**meta(colour="red"))], "unknown words: colour"),
    "a level that nobody knows": (
        [simple(**meta(thresholds={"panic": "value > 1"}))],
        "unknown words: panic",
    ),
    "a limit that is none": (
        [simple(**meta(thresholds={"warn": "more than 3"}))],
        "'more than 3' is no condition",
    ),
    "a limit of something else": (
        [simple(**meta(thresholds={"warn": "price > 1"}))],
        "no input of: price",
    ),
    "a reason from elsewhere": (
        [simple(**meta(reasons={"none": "other = 0"}))],
        "no input of: other",
    ),
    "an input beside that is nowhere": ([simple(**meta(inputs=["no"]))], "no input of: no"),
    "a scope that is no dimension": (
        [simple(**meta(scope="size"))],
        "its scope size is no dimension of things",
    ),
    "a kind that nobody knows": (
        [{"metirc": {}}],
        "some.yml: each document is one of semantic_model, metric",
    ),
    "two things in one document": (
        [simple() | {"semantic_model": {}}],
        "some.yml: each document is one of",
    ),
    "a document of nothing": ([None], "some.yml: each document is one of"),
    "a model without a relation": (
        [{"semantic_model": {"name": "others", "description": "O."}}],
        "some.yml: semantic model others: 'node_relation'",
    ),
    "a KPI without an owner": ([simple(config={"meta": {"version": 1}})], "metric many: 'owner'"),
}


@pytest.mark.parametrize(("documents", "message"), FAULTS.values(), ids=FAULTS)
def test_a_specification_at_fault_is_refused(written, documents, message):
    with pytest.raises(ConfigError) as caught:
        written(*documents)

    assert message in str(caught.value)


def test_a_file_that_is_no_yaml_is_refused_by_name(tmp_path):
    (tmp_path / "torn.yml").write_text("metric: {name: ")

    with pytest.raises(ConfigError, match=r"torn\.yml"):
        load(tmp_path)


def test_inputs_of_several_models_are_refused(written, tmp_path):
    other = {"semantic_model": MODEL["semantic_model"] | {"name": "others"}}
    theirs = simple("few")
    theirs["metric"]["type_params"]["metric_aggregation_params"]["semantic_model"] = "others"

    with pytest.raises(ConfigError, match="of several models; make a view that joins them"):
        written(other, simple(), theirs, derived("many - few", "many", "few"))


def test_an_offset_is_refused(written):
    body = derived("many", "many")
    body["metric"]["type_params"]["metrics"] = [{"name": "many", "offset_window": "7 days"}]

    with pytest.raises(ConfigError, match="nothing but a name, not offset_window"):
        written(simple(), body)


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="agent_queries"):
        SPECS.metric("agent_querys")
