"""Rows of a file or a batch meet the rules exactly as the same rows do in the database."""

from __future__ import annotations

import json
import random
import sys

import duckdb
import psycopg
import pytest

from ocd.core.errors import ConfigError, ContractBroken
from ocd.local.seed import seed
from ocd.quality import duck
from ocd.quality.files import load
from ocd.quality.look import look
from ocd.quality.outside import IN_DATABASE, NEEDS_TABLES, ask_file, ask_rows
from ocd.quality.policy import Mode, Status
from ocd.quality.rule import Dimension, Kind
from tests.factories.clock import NOW
from tests.quality.conftest import COLUMNS, THING, rule_of
from tests.quality.test_every_kind import PARENTS, ROWS, insert

SECRET = "Ottoline"
#: One of every kind that needs no other table, asked together.
ABOUT_ROWS = [
    rule_of(rule.kind, f"r{number}", *rule.columns, params=rule.params, filter=rule.filter)
    for number, (rule, _, _) in enumerate(ROWS.values())
    if rule.kind not in IN_DATABASE
]
ABOUT_TABLES = [
    rule_of(Kind.UNIQUE, "unique", "code", "part", dimension=Dimension.UNIQUENESS),
    rule_of(Kind.VOLUME, "volume", params={"min": 10**6, "max": None}),
    rule_of(Kind.FRESHNESS, "fresh", "at", params={"within_s": -1}),
    rule_of(Kind.SCHEMA, "columns"),
    rule_of(Kind.REGEX, "dots", "name", params={"pattern": "..+"}),  # a dot is a line's end, too
    *(
        rule_of(Kind.DISTRIBUTION, measure, "number", params={"measure": measure, "max": 0.1})
        for measure in ("mean", "stddev", "distinct", "null_share")
    ),
    rule_of(Kind.DISTRIBUTION, "share", params={"measure": "share", "where": "is_ok", "min": 0.9}),
]
RULES = [*ABOUT_ROWS, *ABOUT_TABLES]
TYPES = {"jsonb": "json", "numeric": "decimal(38, 10)"}


@pytest.fixture
def looked(conn, reader):
    """What the database says of the rules, by rule."""

    def deed(rules):
        tables = look(conn, rules, run=None, now=NOW, mode=Mode.FULL, reader=reader)
        return {one.rule.id: one for checked in tables for one in checked.outcomes}

    return deed


@pytest.fixture
def played(play, db):
    """A thousand random rows of good and spoilt columns in the database; returns a cursor."""
    chance = random.Random(7)
    pool = [row for _, good, bad in ROWS.values() for row in (*good, *bad)]
    with psycopg.connect(db.url, autocommit=True) as made, made.cursor() as cursor:
        cursor.executemany("insert into play.parent values (%s, %s, %s)", PARENTS)
        for _ in range(1000):
            insert(cursor, chance.choice(pool) | chance.choice(pool))
        yield cursor


def documents(cursor, table="play.thing"):
    """The rows of a table as JSON."""
    return [row for (row,) in cursor.execute(f"select to_jsonb(t) from {table} t order by id")]


def as_jsonl(cursor, path):
    path.write_text("\n".join(map(json.dumps, documents(cursor))))


def as_json(cursor, path):
    path.write_text(json.dumps(documents(cursor)))


def as_csv(cursor, path):
    with cursor.copy("copy play.thing to stdout (format csv, header)") as rows:
        path.write_bytes(b"".join(rows))


def as_parquet(cursor, path):
    lines = path.with_suffix(".lines")
    as_jsonl(cursor, lines)
    columns = {name: TYPES.get(kind, kind) for name, (kind, _) in COLUMNS.items()}
    with duckdb.connect() as duck:
        rows = duck.read_json(str(lines), format="newline_delimited", columns=columns)
        rows.write_parquet(str(path))


WRITERS = {".jsonl": as_jsonl, ".json": as_json, ".csv": as_csv, ".parquet": as_parquet}


def answers(outcomes):
    """What a rule's answer says, whoever gave it."""
    return {
        one.rule.id: (
            one.status,
            one.rows if one.rule.kind is not Kind.SCHEMA else None,
            one.failed,
            one.keys,
            None if one.value is None else pytest.approx(one.value),
        )
        for one in outcomes
    }


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_kind_of_file_gives_the_answers_of_its_table(played, looked, tmp_path, suffix):
    path = tmp_path / f"things{suffix}"
    WRITERS[suffix](played, path)

    found = ask_file(path, RULES, now=NOW)

    table = looked(RULES)
    assert answers(found.outcomes) == answers(table[one.rule.id] for one in found.outcomes)
    assert found.rows == 1000
    fine = [one.rule.id for one in found.outcomes if not one.failed]
    assert fine == ["thing.columns"]


@pytest.mark.parametrize("table", sorted({one.source.name for one in load()}))
def test_a_batch_meets_the_shipped_rules_as_its_table_does(conn, db, looked, table):
    """Rows of the sample data with planted faults."""
    seed(conn, rows=300, faults=True, now=NOW, progress=None)
    rules = [one for one in load() if one.source.name == table]
    here = [one for one in rules if one.kind not in IN_DATABASE | {Kind.SCHEMA}]
    with psycopg.connect(db.url) as made:
        rows = documents(made.cursor(), rules[0].source.table)

    found = {one.rule.id: one for one in ask_rows(rows, rules, now=NOW).outcomes}

    said = looked(rules)
    proven = {one.rule.id for one in said.values() if one.status is Status.PROVEN}
    assert {one: found[one].failed for one in proven & {rule.id for rule in here}} == dict.fromkeys(
        proven & {rule.id for rule in here}, 0
    )
    asked = [one.id for one in here if one.id not in proven]
    assert answers(found[one] for one in asked) == answers(said[one] for one in asked)


def test_what_needs_other_tables_waits_and_says_so():
    rules = [rule for rule, _, _ in ROWS.values() if rule.kind in IN_DATABASE]

    found = ask_rows([{"code": "nowhere", "part": 1}], rules, now=NOW)

    assert {(one.status, one.detail) for one in found.outcomes} == {(Status.WAITING, NEEDS_TABLES)}


def test_rows_without_a_key_are_numbered():
    rule = rule_of(Kind.RANGE, "r", "number", params={"min": 0})

    found = ask_rows([{"number": 1}, {"number": -1}, {"number": -2}], [rule], now=NOW)

    assert found.outcomes[0].keys == (2, 3)


def test_one_document_is_one_row():
    rule = rule_of(Kind.NOT_NULL, "r", "name")

    found = ask_rows('{"id": 7, "name": null}', [rule], now=NOW)

    assert (found.rows, found.outcomes[0].keys) == (1, (7,))


def test_an_empty_batch_has_no_failing_row_and_its_volume_fails():
    found = answers(ask_rows([], RULES, now=NOW).outcomes)

    assert {name for name, (status, *_) in found.items() if status is not Status.PASSED} == {
        "thing.volume"
    }


@pytest.mark.parametrize(
    ("given", "unfit"),
    [
        ({"number": "many"}, "number"),
        ({"number": 2.5}, "number"),
        ({"at": "yesterday"}, "at"),
        ({"is_ok": "perhaps"}, "is_ok"),
    ],
)
def test_a_value_of_another_type_is_a_finding_about_the_columns(given, unfit):
    whole = dict.fromkeys(COLUMNS)
    rules = [rule_of(Kind.SCHEMA, "columns"), rule_of(Kind.NOT_NULL, "r", unfit)]

    found = {one.rule.id: one for one in ask_rows([whole | given], rules, now=NOW).outcomes}

    assert found["thing.columns"].detail == f"columns that differ: {unfit}"
    assert found["thing.r"].failed == 1


def test_a_rule_about_a_column_that_is_not_there_is_broken_alone():
    rules = [
        rule_of(Kind.RANGE, "gone", "amount", params={"min": 0}),
        rule_of(Kind.NOT_NULL, "there", "name"),
        rule_of(Kind.SCHEMA, "columns"),
    ]

    found = {one.rule.id: one for one in ask_rows([{"name": SECRET}], rules, now=NOW).outcomes}

    assert found["thing.gone"].status is Status.BROKEN
    assert found["thing.gone"].detail == "it has no column amount"
    assert found["thing.there"].status is Status.PASSED
    assert "amount" in found["thing.columns"].detail
    assert SECRET not in str(found)


def test_a_backslash_in_a_pattern_is_itself():
    rule = rule_of(Kind.REGEX, "r", "name", params={"pattern": r"\d+\.\d"})

    found = ask_rows([{"name": "1.5"}, {"name": "1x5"}], [rule], now=NOW)

    assert found.outcomes[0].failed == 1


#: Files as they break: what stands in them, by a word for it, and what is said of it.
BROKEN = {
    "not text.json": (f'{{"name": "{SECRET}\xff"}}'.encode("latin-1"), "JSON: UTF-8"),
    "not text.jsonl": (f'{{"name": "{SECRET}\xff"}}'.encode("latin-1"), "JSON lines: UTF-8"),
    "not text.csv": (f"id,name\n1,{SECRET}\xff\n".encode("latin-1"), "line 2 of it .* CSV: UTF-8"),
    "cut.json": (f'[{{"name": "{SECRET}"}}, {{"na'.encode(), "an array of them"),
    "cut.jsonl": (f'{{"name": "{SECRET}"}}\n{{"na'.encode(), "one object on each"),
    "cut.csv": (f'id,name\n1,"{SECRET}\n'.encode(), "commas between them"),
    "cut.parquet": (b"PAR1" + SECRET.encode(), "it may be cut off"),
    "ragged.csv": (f"id,name\n1,a\n2,{SECRET},c,d\n3\n".encode(), "as many values on each"),
    "ragged late.csv": (
        b"id,name\n" + b"1,a\n" * 100_000 + f"2,{SECRET},c\n".encode(),
        "line 100002 of it",
    ),
    "another table.csv": (f"a,b\n1,{SECRET}\n".encode(), "none of the columns of thing"),
    "another table.jsonl": (f'{{"a": "{SECRET}"}}'.encode(), "none of the columns of thing"),
    "semicolons.csv": (f"id;name\n1;{SECRET}\n".encode(), "none of the columns of thing"),
    "empty.csv": (b"", "it is empty"),
    "empty.json": (b"", "it is empty"),
    "empty.parquet": (b"", "it is empty"),
}


@pytest.mark.parametrize(("name", "broken"), BROKEN.items(), ids=BROKEN)
def test_a_broken_file_is_named_and_not_quoted(tmp_path, name, broken):
    path, (given, said) = tmp_path / name, broken
    path.write_bytes(given)

    with pytest.raises(ContractBroken, match=said) as refused:
        ask_file(path, RULES, now=NOW)

    assert name in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    (tmp_path / "folder.csv").mkdir()

    for name, said in {
        "folder.csv": "Is a directory",
        "gone.json": "No such file",
        "a" * 300 + ".csv": "File name too long",
    }.items():
        with pytest.raises(ConfigError, match=said):
            ask_file(tmp_path / name, RULES, now=NOW)


def test_what_is_too_large_says_so_and_is_not_called_broken(monkeypatch):
    monkeypatch.setitem(duck._CONFIG, "memory_limit", "1MB")
    batch = [{"id": n, "name": SECRET * 100} for n in range(2_000)]

    with pytest.raises(ContractBroken, match="more than 1MB to read") as refused:
        ask_rows(batch, [rule_of(Kind.UNIQUE, "u", "name")], now=NOW)

    assert SECRET not in str(refused.value)


def test_a_json_file_is_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setitem(duck._CONFIG, "memory_limit", "100MB")
    path = tmp_path / "rows.json"
    line = json.dumps({"id": 1, "name": "n" * 500})
    path.write_text("[" + ",\n".join([line] * 120_000) + "]")

    found = ask_file(path, [rule_of(Kind.NOT_NULL, "r", "name")], now=NOW)

    assert (found.rows, found.outcomes[0].failed) == (120_000, 0)


def test_a_name_is_no_pattern(tmp_path):
    rule = rule_of(Kind.NOT_NULL, "r", "name")
    for name in ("rows[1].csv", "rows*.csv", "rows1.csv"):
        (tmp_path / name).write_text("id,name\n1,a\n")

    assert ask_file(tmp_path / "rows*.csv", [rule], now=NOW).rows == 1
    assert ask_file(tmp_path / "rows[1].csv", [rule], now=NOW).rows == 1


def test_no_line_of_a_file_is_taken_for_a_remark(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("name,number\na,1\n#b,-1\nc,#d\n#e,-1\n")
    rule = rule_of(Kind.RANGE, "r", "number", params={"min": 0})

    found = ask_file(path, [rule], now=NOW)

    assert (found.rows, found.outcomes[0].failed) == (4, 2)


def test_json_lines_may_be_empty(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.touch()

    assert ask_file(path, RULES, now=NOW).rows == 0


@pytest.mark.parametrize("batch", ["[1, 2]", '"text"', '[{"id": 1}, null]'])
def test_a_batch_of_anything_but_objects_is_refused(batch):
    with pytest.raises(ContractBroken, match="objects only"):
        ask_rows(batch, RULES, now=NOW)


def test_another_kind_of_file_and_a_missing_package_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"ends in \.parquet"):
        ask_file(tmp_path / "rows.xlsx", RULES, now=NOW)
    with pytest.raises(ConfigError, match="No such file"):
        ask_file(tmp_path / "gone.csv", RULES, now=NOW)

    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(ConfigError, match=r"ocd\[duckdb\]"):
        ask_rows([], RULES, now=NOW)


def test_keys_that_come_back_are_numbers_only():
    source_key = {"id": SECRET, "number": -1}
    rule = rule_of(Kind.RANGE, "r", "number", params={"min": 0})

    found = ask_rows([source_key], [rule], now=NOW)

    assert (found.outcomes[0].failed, found.outcomes[0].keys) == (1, ())
    assert THING.key == "id"
