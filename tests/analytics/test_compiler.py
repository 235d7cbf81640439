"""Statements that come out of the specifications, run against the live schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocd.analytics.kpis.compiler import GRAINS, Cut, compile_query
from ocd.analytics.kpis.files import load
from ocd.core.errors import ConfigError, UnknownName
from tests.conftest import _database
from tests.factories.agents import make_query

SPECS = load()
END = datetime(2026, 11, 24, tzinfo=UTC)
PERIOD = {"start": END - timedelta(days=1), "end": END}
DIMENSIONS = [
    (name, dimension)
    for name, metric in SPECS.metrics.items()
    for dimension in SPECS.models[metric.model].dimensions
]


@pytest.fixture(scope="module")
def empty(server, template):
    """A connection to a database without rows, for all that only read."""
    for database in _database(server, template):
        with database.engine.connect() as connection:
            yield connection


def rows(conn, names, cut=None, **values):
    found = conn.execute(compile_query(SPECS, names, cut or Cut()), PERIOD | values)
    return [tuple(row) for row in found]


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("name", SPECS.metrics)
def test_every_metric_can_be_had_by_every_grain_of_an_empty_database(empty, name, grain):
    assert rows(empty, [name], Cut(grain=grain)) == []


@pytest.mark.parametrize(("name", "dimension"), DIMENSIONS)
def test_every_metric_can_be_had_by_every_dimension_of_its_model(empty, name, dimension):
    assert rows(empty, [name], Cut((dimension,))) == []


def test_a_total_of_no_rows_is_one_row(conn):
    assert rows(conn, ["agent_queries", "agent_approval_rate"]) == [(0, None)]


def test_dimensions_and_total_come_out_of_one_scan(conn):
    for agent, approved in (("data", True), ("data", False), ("ops", None)):
        make_query(conn, agent=agent, approved=approved, created_at=PERIOD["start"])

    found = rows(conn, ["agent_queries", "agent_approval_rate"], Cut(("agent",), has_total=True))

    assert sorted(found) == [("", 3, 0.5), ("data", 2, 0.5), ("ops", 1, None)]


def test_a_filter_keeps_the_values_that_it_is_given(conn):
    for agent in ("data", "data", "ops"):
        make_query(conn, agent=agent, created_at=PERIOD["start"])

    found = rows(
        conn, ["agent_queries"], Cut(("agent",), only=("agent",)), only_agent=["data", "qa"]
    )

    assert found == [("data", 2)]


def test_a_value_to_filter_by_is_never_part_of_the_statement(conn):
    make_query(conn, agent="x'); drop table agent_queries; --", created_at=PERIOD["start"])

    found = rows(
        conn,
        ["agent_queries"],
        Cut(only=("agent",)),
        only_agent=["x'); drop table agent_queries; --"],
    )

    assert found == [(1,)]


@settings(max_examples=50)
@given(st.text())
def test_a_name_that_is_not_declared_never_reaches_the_statement(name):
    for cut in (Cut((f"{name}!",)), Cut(only=(f"{name}!",)), Cut(grain=f"{name}!")):
        with pytest.raises(UnknownName):
            compile_query(SPECS, ["agent_queries"], cut)


def test_metrics_of_several_models_need_several_statements():
    with pytest.raises(ConfigError, match="approvals, queries"):
        compile_query(SPECS, ["agent_queries", "support_approvals_opened"])


def test_no_row_outside_the_period_is_read(conn):
    """The conditions of the metrics are the condition of the scan, so an index can serve it."""
    for days in range(40):
        make_query(conn, created_at=END - timedelta(days=days))

    statement = compile_query(SPECS, ["agent_quality_score"])
    conn.exec_driver_sql("set local enable_seqscan = off")
    plan = conn.exec_driver_sql(
        "explain "
        + statement.text.replace(":start", f"'{PERIOD['start']}'").replace(":end", f"'{END}'")
    )

    assert "agent_queries_created_at_idx" in "\n".join(row[0] for row in plan)
