"""Whatever the data, a rule of every kind finds the rows that were spoilt, all of them and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from sqlalchemy import event, text

from ocd.quality import apart
from ocd.quality.apart import Reader, ask
from ocd.quality.look import look
from ocd.quality.policy import Mode, Proofs, Status
from ocd.quality.rule import Dimension, Kind, Tolerance
from ocd.quality.scan import View
from tests.factories.clock import NOW
from tests.quality.conftest import THING, rule_of

DOCUMENT = {"column": "document", "key": "mark", "low": 1, "high": 5}
PARENTS = [("a", 1, "x"), ("b", 2, "x"), ("b", 2, "y"), (None, 3, "x")]
SQL_RULE = "select id from play.thing where number > amount"

#: Kind → rule, columns of good rows (NULL among them where NULL passes), columns of bad ones.
ROWS = {
    "not null": (
        rule_of(Kind.NOT_NULL, "r", "name"),
        [{"name": ""}, {"name": "x"}],
        [{"name": None}],
    ),
    "filled": (
        rule_of(Kind.FILLED, "r", "name"),
        [{"name": "x"}, {"name": " x "}],
        [{"name": None}, {"name": ""}, {"name": "  "}],
    ),
    "range": (
        rule_of(Kind.RANGE, "r", "amount", params={"min": 0, "max": 10}),
        [{"amount": 0}, {"amount": 10}, {"amount": None}],
        [{"amount": -0.001}, {"amount": 11}],
    ),
    "range of instants": (
        rule_of(Kind.RANGE, "r", "at", params={"max": "cast(:now as timestamptz)"}),
        [{"at": NOW}, {"at": None}],
        [{"at": NOW + timedelta(microseconds=1)}],
    ),
    "set": (
        rule_of(Kind.SET, "r", "name", params={"values": ["a", "b%"]}),
        [{"name": "a"}, {"name": "b%"}, {"name": None}],
        [{"name": "A"}, {"name": "c"}, {"name": ""}],
    ),
    "set of numbers": (
        rule_of(Kind.SET, "r", "number", params={"values": [1, 2]}),
        [{"number": 1}, {"number": None}],
        [{"number": 3}],
    ),
    "regex": (
        rule_of(Kind.REGEX, "r", "name", params={"pattern": "a|b[0-9]+"}),
        [{"name": "a"}, {"name": "b12"}, {"name": None}],
        [{"name": "xa"}, {"name": "b"}, {"name": "a1"}, {"name": "a\n"}],
    ),
    "length": (
        rule_of(Kind.LENGTH, "r", "name", params={"min": 2, "max": 3}),
        [{"name": "ab"}, {"name": "äöü"}, {"name": None}],
        [{"name": "a"}, {"name": "abcd"}],
    ),
    "length of wide characters": (
        rule_of(Kind.LENGTH, "r", "name", params={"min": 2, "max": 9}),
        [{"name": one} for one in ("aa", "ä" * 9, "😀" * 9, "😀" * 2, "a" * 9, None)],
        [{"name": one} for one in ("", "a", "ä", "😀", "a" * 10, "ä" * 10, "😀" * 10)],
    ),
    "length without an end": (
        rule_of(Kind.LENGTH, "r", "name", params={"min": 3}),
        [{"name": "abc"}, {"name": "😀" * 3}, {"name": "a" * 5000}],
        [{"name": "😀" * 2}, {"name": "ab"}],
    ),
    "length of no more": (
        rule_of(Kind.LENGTH, "r", "name", params={"max": 3}),
        [{"name": ""}, {"name": "😀" * 3}],
        [{"name": "abcd"}, {"name": "😀" * 4}],
    ),
    "condition": (
        rule_of(Kind.CONDITION, "r", params={"expression": "number <= amount or is_ok"}),
        [
            {"number": 1, "amount": 2, "is_ok": False},
            {"number": 3, "amount": 2, "is_ok": True},
            {"number": 3, "amount": None, "is_ok": False},
            {"number": 3, "amount": 2, "is_ok": None},
        ],
        [{"number": 3, "amount": 2, "is_ok": False}],
    ),
    "python": (
        rule_of(
            Kind.PYTHON,
            "r",
            "document",
            params={"expression": "integer_in_document", "arguments": DOCUMENT},
        ),
        [{"document": Jsonb(one)} for one in ({"mark": 1}, {"mark": 5.0}, {}, [1], "x")]
        + [{"document": None}],
        [{"document": Jsonb({"mark": one})} for one in (0, 6, 2.5, "3", True, None, [1])],
    ),
    "reference": (
        rule_of(Kind.REFERENCE, "r", "code", params={"table": "play.parent", "to": ("code",)}),
        [{"code": "a"}, {"code": "b"}, {"code": None}],
        [{"code": "c"}, {"code": ""}],
    ),
    "reference of two columns": (
        rule_of(
            Kind.REFERENCE,
            "r",
            "code",
            "part",
            params={"table": "play.parent", "to": ("code", "part")},
        ),
        [{"code": "a", "part": 1}, {"code": None, "part": 9}, {"code": "z", "part": None}],
        [{"code": "a", "part": 2}, {"code": "b", "part": 3}],
    ),
    "sql": (
        rule_of(Kind.SQL, "r", params={"statement": SQL_RULE}),
        [{"number": 1, "amount": 1}, {"number": 1, "amount": None}, {"number": None, "amount": 1}],
        [{"number": 2, "amount": 1}],
    ),
    "with a filter": (
        rule_of(Kind.NOT_NULL, "r", "name", filter="is_ok"),
        [
            {"name": None, "is_ok": False},
            {"name": None, "is_ok": None},
            {"name": "x", "is_ok": True},
        ],
        [{"name": None, "is_ok": True}],
    ),
}


def insert(cursor, columns):
    names = list(columns) or ["name"]
    cursor.execute(
        f"insert into play.thing ({', '.join(names)}) values ({', '.join(['%s'] * len(names))}) returning id",
        list(columns.values()) or [None],
    )
    return cursor.fetchone()[0]


@pytest.fixture
def ask_rules(conn, reader):
    """Ask rules about what another connection committed, and return outcomes by rule."""

    def deed(rules, **how):
        view = {"run": None, "now": NOW, "mode": Mode.FULL, "reader": reader} | how
        tables = look(conn, rules, **view)
        return {one.rule.id: one for checked in tables for one in checked.outcomes}

    return deed


@pytest.fixture
def things(play, db):
    """A connection whose rows others see at once."""
    with psycopg.connect(db.url, autocommit=True) as made, made.cursor() as cursor:
        cursor.executemany("insert into play.parent values (%s, %s, %s)", PARENTS)
        yield cursor


@pytest.mark.parametrize("kind", ROWS)
def test_it_finds_what_was_planted_and_nothing_else(things, ask_rules, kind):
    rule, good, bad = ROWS[kind]

    @settings(
        max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        fine=st.lists(st.sampled_from(good), max_size=40),
        spoilt=st.lists(st.sampled_from(bad), max_size=30),
        order=st.randoms(use_true_random=False),
    )
    def holds(fine, spoilt, order):
        things.execute("delete from play.thing")
        rows = [(one, False) for one in fine] + [(one, True) for one in spoilt]
        order.shuffle(rows)
        planted = [
            key for key, is_bad in ((insert(things, one), bad) for one, bad in rows) if is_bad
        ]

        found = ask_rules([rule])[rule.id]

        assert found.failed == len(planted)
        assert found.keys == tuple(planted[:20])
        assert found.status is (Status.FAILED if planted else Status.PASSED)

    holds()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None])), max_size=30
    )
)
@pytest.mark.usefixtures("play")
def test_unique_finds_the_rows_that_repeat_an_earlier_one(things, ask_rules, pairs):
    things.execute("delete from play.thing")
    keys = [insert(things, {"code": code, "part": part}) for code, part in pairs]
    whole = [one for one in zip(pairs, keys, strict=True) if None not in one[0]]
    last = dict(whole)
    repeated = sorted(key for pair, key in last.items() if [p for p, _ in whole].count(pair) > 1)
    rule = rule_of(Kind.UNIQUE, "r", "code", "part", dimension=Dimension.UNIQUENESS)

    found = ask_rules([rule])[rule.id]

    assert found.failed == len(whole) - len(last)
    assert found.keys == tuple(repeated[:20])


@pytest.mark.parametrize(
    ("kind", "suspects"),
    [("text", 10_000), ("text", 1), ("bit varying", 10_000)],
    ids=["by their hashes", "too many repeated hashes", "a type without a hash"],
)
def test_unique_finds_the_same_whichever_way_it_goes(
    play, things, conn, monkeypatch, kind, suspects
):
    monkeypatch.setattr(apart, "SUSPECTS", suspects)
    play(f"alter table play.thing add column mark {kind}")
    keys = [insert(things, {"mark": one}) for one in ("1", "0", "1", "10", "0", "1", None, None)]
    source = replace(THING, columns=THING.columns | {"mark": (kind, True)})
    rule = replace(rule_of(Kind.UNIQUE, "r", "mark"), source=source)

    outcome, statements = ask(conn, rule, View(NOW, Proofs()), None, rows=8)
    settings = conn.execute(text("select current_setting('enable_hashagg')")).scalar()

    assert (outcome.failed, outcome.keys, statements) == (3, (keys[4], keys[5]), 2)
    assert settings == "on"


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    mine=st.lists(st.integers(0, 9), max_size=10),
    theirs=st.lists(st.integers(0, 9), max_size=10),
)
def test_two_tables_are_reconciled_by_sum_and_by_count(things, ask_rules, mine, theirs):
    things.execute("delete from play.thing")
    things.execute("delete from play.other")
    for one in mine:
        insert(things, {"number": one})
    things.executemany("insert into play.other values (1, %s)", [(one,) for one in theirs])
    sums = {"measure": "sum(number)", "table": "play.other", "equals": "sum(amount)"}
    counts = {"measure": "count(*)", "table": "play.other", "equals": "count(*)"}
    by_sum = rule_of(Kind.CROSS_TABLE, "sum", params=sums)
    by_count = rule_of(Kind.CROSS_TABLE, "count", params=counts)

    found = ask_rules([by_sum, by_count])

    assert found["thing.sum"].value == sum(mine) - sum(theirs)
    assert (found["thing.sum"].failed, found["thing.count"].failed) == (
        int(sum(mine) != sum(theirs)),
        int(len(mine) != len(theirs)),
    )


@pytest.mark.parametrize(
    ("ages", "failed"),
    [([], 0), ([None], 0), ([2, 5], 1), ([2], 1), ([1.999], 0), ([None, 3, 0], 0)],
)
def test_a_table_is_stale_at_its_limit_and_never_for_want_of_rows(things, ask_rules, ages, failed):
    for age in ages:
        insert(things, {"at": None if age is None else NOW - timedelta(days=age)})
    rule = rule_of(Kind.FRESHNESS, "r", "at", params={"within_s": 2 * 86_400})

    assert ask_rules([rule])[rule.id].failed == failed


@pytest.mark.parametrize(
    ("measure", "bounds", "rows", "value", "failed"),
    [
        ("mean", {"min": 2, "max": 3}, [{"number": 2}, {"number": 4}, {"number": None}], 3, 0),
        ("mean", {"max": 2.9}, [{"number": 2}, {"number": 4}], 3, 1),
        ("mean", {"max": 2.9}, [{"number": None}], None, 0),
        ("stddev", {"max": 1}, [{"number": 1}, {"number": 3}], 2**0.5, 1),
        ("distinct", {"max": 1}, [{"number": 1}, {"number": 1}, {"number": None}], 1, 0),
        ("distinct", {"max": 1}, [{"number": 1}, {"number": 2}], 2, 1),
        ("null_share", {"max": 0.5}, [{"number": 1}, {"number": None}], 0.5, 0),
        ("null_share", {"max": 0.4}, [{"number": 1}, {"number": None}], 0.5, 1),
        ("share", {"min": 0.5}, [{"is_ok": True}, {"is_ok": False}, {"is_ok": None}], 0.5, 0),
        ("share", {"min": 0.6}, [{"is_ok": True}, {"is_ok": False}, {"is_ok": None}], 0.5, 1),
        ("share", {"min": 0.6}, [{"is_ok": None}], None, 0),
    ],
)
def test_a_distribution_is_measured_and_bounded(
    things, ask_rules, measure, bounds, rows, value, failed
):
    for one in rows:
        insert(things, one)
    rule = rule_of(
        Kind.DISTRIBUTION, "r", "number", params={"measure": measure, "where": "is_ok"} | bounds
    )

    found = ask_rules([rule])[rule.id]

    assert (found.value, found.failed) == (pytest.approx(value) if value else value, failed)


@pytest.mark.parametrize(
    ("kind", "params", "value"),
    [
        (Kind.VOLUME, {"min": 0}, 2),
        (Kind.DISTRIBUTION, {"measure": "mean", "min": 0}, 3),
        (Kind.DISTRIBUTION, {"measure": "distinct", "min": 0}, 1),
        (Kind.DISTRIBUTION, {"measure": "null_share", "min": 0}, 0.5),
        (Kind.DISTRIBUTION, {"measure": "share", "where": "number > 1", "min": 0}, 1),
        (Kind.CROSS_TABLE, {"measure": "sum(number)", "table": "play.other", "equals": "1"}, 3),
    ],
)
def test_what_is_measured_is_measured_of_the_rows_that_a_filter_lets_through(
    things, ask_rules, kind, params, value
):
    for number, is_ok in ((3, True), (None, True), (1, False), (1, None)):
        insert(things, {"number": number, "is_ok": is_ok})
    rule = rule_of(kind, "r", "number", params=params, filter="is_ok")

    found = ask_rules([rule])[rule.id]

    assert (found.value, found.rows) == (pytest.approx(value), 2)


@pytest.mark.parametrize(("rows", "failed"), [(1, 1), (2, 0), (3, 0), (4, 1)])
def test_a_table_has_as_many_rows_as_is_said(things, ask_rules, rows, failed):
    for _ in range(rows):
        insert(things, {})
    rule = rule_of(Kind.VOLUME, "r", params={"min": 2, "max": 3}, dimension=Dimension.VOLUME)

    found = ask_rules([rule])[rule.id]

    assert (found.value, found.failed) == (rows, failed)


def test_columns_that_differ_from_the_facts_are_named(things, play, ask_rules):
    rule = rule_of(Kind.SCHEMA, "r")
    before = ask_rules([rule])[rule.id]
    play(
        "alter table play.thing drop is_ok, add added text, alter number type bigint, alter name set not null"
    )

    found = ask_rules([rule])[rule.id]

    assert (before.status, before.failed) == (Status.PASSED, 0)
    assert (found.failed, found.detail) == (4, "columns that differ: added, is_ok, name, number")


def test_all_kinds_together_find_what_each_finds_alone(things, ask_rules):
    """One scan with joins and filters counts no row twice."""
    rules = [
        rule_of(rule.kind, f"r{n}", *rule.columns, params=rule.params, filter=rule.filter)
        for n, (rule, _, _) in enumerate(ROWS.values())
    ]
    for _, good, bad in ROWS.values():
        for columns in (*good, *bad, *bad):
            insert(things, columns)

    together = ask_rules(rules)

    alone = {rule.id: ask_rules([rule])[rule.id] for rule in rules}
    assert {name: (one.failed, one.keys) for name, one in together.items()} == {
        name: (one.failed, one.keys) for name, one in alone.items()
    }


@pytest.mark.parametrize(
    ("tolerance", "status"),
    [
        (Tolerance(), Status.FAILED),
        (Tolerance(rows=1), Status.FAILED),
        (Tolerance(rows=2), Status.PASSED),
        (Tolerance(share=0.19), Status.FAILED),
        (Tolerance(share=0.2), Status.PASSED),
    ],
)
def test_so_much_may_fail(things, ask_rules, tolerance, status):
    for name in (None, None, *"abcdefgh"):
        insert(things, {"name": name})
    rule = rule_of(Kind.NOT_NULL, "r", "name", tolerance=tolerance)

    found = ask_rules([rule])[rule.id]

    assert (found.failed, found.status) == (2, status)


BROKEN = {
    "no such column": rule_of(Kind.CONDITION, "broken", params={"expression": "nothing > 1"}),
    "no SQL at all": rule_of(Kind.CONDITION, "broken", params={"expression": "select from ("}),
    "a cast that a row refuses": rule_of(
        Kind.CONDITION, "broken", params={"expression": "cast(name as integer) > 1"}
    ),
    "no such table": rule_of(
        Kind.REFERENCE, "broken", "code", params={"table": "play.gone", "to": ("code",)}
    ),
    "no such column to be unique": replace(
        rule_of(Kind.UNIQUE, "broken", "gone"),
        source=replace(THING, columns={**THING.columns, "gone": ("text", True)}),
    ),
    "a statement that fails": rule_of(
        Kind.SQL, "broken", params={"statement": "select cast(name as bigint) from play.thing"}
    ),
    "a statement that gives no keys": rule_of(
        Kind.SQL, "broken", params={"statement": "select name from play.thing"}
    ),
    "a statement that writes": rule_of(
        Kind.SQL,
        "broken",
        params={
            "statement": "with gone as (delete from play.thing returning id) select id from gone"
        },
    ),
    "two statements": rule_of(
        Kind.SQL, "broken", params={"statement": "select 1) select 1; delete from play.thing; --"}
    ),
    "a table that the reader may not see": rule_of(
        Kind.SQL, "broken", params={"statement": "select id from public.agent_queries"}
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_fails_alone_with_its_name(things, ask_rules, broken):
    insert(things, {"name": "secret-name", "number": 3, "amount": 1})
    good = [rule_of(Kind.FILLED, f"good{n}", "name") for n in range(5)]
    bad = rule_of(Kind.RANGE, "bad", "number", params={"max": 2})

    found = ask_rules([*good[:3], broken, *good[3:], bad])

    assert found[broken.id].status is Status.BROKEN
    assert "secret" not in found[broken.id].detail
    assert {found[one.id].status for one in good} == {Status.PASSED}
    assert (found[bad.id].status, found[bad.id].failed) == (Status.FAILED, 1)
    assert things.execute("select count(*) from play.thing").fetchone() == (1,)


def test_a_statement_that_takes_too_long_is_stopped(things, conn, reader, ask_rules):
    rule = rule_of(Kind.SQL, "slow", params={"statement": "select 1 from pg_sleep(20)"})
    snapshot = conn.exec_driver_sql("select pg_export_snapshot()").scalar()

    found, _ = ask(conn, rule, View(NOW), Reader(reader, snapshot, timeout="100ms"), rows=0)

    assert found.status is Status.BROKEN
    assert "QueryCanceled" in found.detail


def test_a_rule_of_its_own_statement_sees_the_same_instant(things, db, conn, reader):
    """A row that is written after the first table was read is seen by no rule."""
    sql = rule_of(Kind.SQL, "sql", params={"statement": "select id from play.thing"})
    scanned = rule_of(Kind.NOT_NULL, "name", "name")

    def write(_, cursor, statement, *rest):
        if "FROM play.thing" in statement:
            insert(things, {"name": None})

    event.listen(db.engine, "after_cursor_execute", write)

    tables = look(conn, [scanned, sql], run=None, now=NOW, mode=Mode.FULL, reader=reader)

    assert [one.failed for one in tables[0].outcomes] == [0, 0]


def test_without_a_reader_a_statement_is_broken_and_says_so(things, ask_rules):
    rule = rule_of(Kind.SQL, "sql", params={"statement": "select 1"})

    found = ask_rules([rule], reader=None)[rule.id]

    assert (found.status, found.detail) == (
        Status.BROKEN,
        "there is no read-only login to ask with",
    )
