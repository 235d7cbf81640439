"""What the facts say is what the migrations made."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ocd.core.errors import UnknownName
from ocd.datasets.registry import DATASETS, dataset

each_dataset = pytest.mark.parametrize("facts", DATASETS, ids=lambda one: one.name)


@each_dataset
def test_the_live_columns_are_the_ones_of_the_facts(conn, facts):
    live = conn.execute(
        text("""
            select attname, format_type(atttypid, atttypmod), not attnotnull from pg_attribute
            where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped order by attnum
        """),
        {"table": facts.table},
    )

    assert [tuple(row) for row in live] == [
        (one.name, one.type, one.nullable) for one in facts.columns
    ]


@each_dataset
def test_the_live_defaults_are_the_ones_of_the_facts(conn, facts):
    live = conn.execute(
        text("""
            select column_name, column_default from information_schema.columns
            where table_schema = :schema and table_name = :relation and column_default is not null
        """),
        {"schema": facts.schema, "relation": facts.relation},
    )

    said = {one.name: one.default for one in facts.columns if one.default}
    assert {name: default.removesuffix("::text") for name, default in live} == said


@each_dataset
def test_the_live_comments_are_the_ones_of_the_facts(conn, facts):
    live = conn.execute(
        text("""
            select attname, col_description(attrelid, attnum) from pg_attribute
            where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped
        """),
        {"table": facts.table},
    )
    about = conn.execute(
        text("select obj_description(to_regclass(:table), 'pg_class')"), {"table": facts.table}
    ).scalar()

    assert dict(live.all()) == {one.name: one.comment for one in facts.columns}
    assert about == facts.description


@each_dataset
def test_the_key_is_the_primary_key(conn, facts):
    keys = conn.execute(
        text("""
            select a.attname, format_type(a.atttypid, a.atttypmod)
            from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
            where i.indrelid = to_regclass(:table) and i.indisprimary
        """),
        {"table": facts.table},
    )

    assert [tuple(row) for row in keys] == [(facts.key, "bigint")]


@each_dataset
def test_row_security_is_enabled_and_forced(conn, facts):
    row = conn.execute(
        text(
            "select relrowsecurity, relforcerowsecurity from pg_class where oid = to_regclass(:table)"
        ),
        {"table": facts.table},
    ).one()

    assert tuple(row) == (True, True)


@each_dataset
def test_the_instants_that_decide_are_columns_with_a_time_zone(facts):
    types = {one.name: one.type for one in facts.columns}
    rules = facts.retention.rules if facts.retention else ()

    instants = {facts.event_time} | {rule.since for rule in rules}

    assert {types.get(name) for name in instants} == {"timestamp with time zone"}


@each_dataset
def test_no_retention_condition_is_ever_null(conn, facts):
    """The row with every column null is the hardest one: `not (null)` would keep it for ever."""
    nothing = ", ".join(f"null::{one.type} as {one.name}" for one in facts.columns)
    rules = facts.retention.rules if facts.retention else ()
    conditions = [rule.where for rule in rules if rule.where]

    for condition in conditions:
        value = conn.execute(
            text(f"select ({condition}) from (select {nothing}) {facts.relation}")
        ).scalar()
        assert value is not None, condition


def test_a_table_comes_after_those_it_refers_to(conn):
    """A restore fills tables in this order, so a child's rows must find their parents."""
    order = [one.table for one in DATASETS]
    references = conn.execute(
        text("""
            select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
            where contype = 'f' and conrelid = any(array(select to_regclass(one) from unnest(cast(:tables as text[])) one))
        """),
        {"tables": order},
    ).all()

    places = {name.removeprefix("public."): number for number, name in enumerate(order)}
    # Details of the ledger refer to its runs, which no backup holds; rows to earlier ones of their table.
    among_them = [
        (child, parent) for child, parent in references if parent not in {"ocd.run", child}
    ]
    assert among_them
    assert all(places[parent] < places[child] for child, parent in among_them)


@each_dataset
def test_a_dataset_is_found_by_its_name(facts):
    assert dataset(facts.name) is facts


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownName):
        dataset("agent_querys")
