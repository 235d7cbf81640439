"""Every type and the nastiest values come back as they were, through a backup and its verification."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from ocd.datasets.registry import DATASETS
from ocd.lifecycle import manifest
from ocd.lifecycle.backup import backup
from ocd.lifecycle.verify import EQUAL, verify
from tests.conftest import KEYS
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_feedback

#: type → values as SQL; each row holds one of them, the other columns null.
VALUES = {
    "text": [
        r"E'tab\tnewline\nreturn\rback\\slash quote\' \"'",
        r"E'\\.'",
        r"E'line\n\\.\nline'",
        r"E'\\N'",
        "''",
        "'NULL'",
        "repeat('ä€𝄞', 1000)",
        r"E'\b\f\v\x7f'",
        "E'\\u2028\\uFEFF'",
    ],
    "jsonb": [
        """'{"a": [1, 2.50, null, true], "b": {"quote": "\\"", "slash": "\\\\"}}'""",
        "'null'",
        "jsonb_build_object('big', repeat('0123456789', 1000000))",
        "'12345678901234567890123456789.123456789'",
    ],
    "json": ["""'{"b": 1,  "a":   2, "a": 3}'""", "'[]'"],
    "xml": [],  # the embedded server is built without libxml: the type is there, values are not
    "numeric": ["'NaN'", "'Infinity'", "'-Infinity'", "1.0", "1.00", "10::numeric ^ 300", "-0.0"],
    "double precision": ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "1e-320", "0.1", "1.7e308"],
    "real": ["'NaN'", "0.1", "3.4e38"],
    "smallint": ["-32768"],
    "integer": ["-2147483648"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "boolean": ["true", "false"],
    "timestamp with time zone": [
        "'infinity'",
        "'-infinity'",
        "'4713-01-01 00:00:00 BC'",
        "'294276-12-31 23:59:59.999999'",
        "'2026-03-08 02:30:00 America/New_York'",
        "'0044-03-15 12:00 BC'",
    ],
    "timestamp without time zone": ["'infinity'", "'0001-01-01 00:00:00 BC'"],
    "date": ["'infinity'", "'-infinity'", "'4714-11-24 BC'", "'5874897-12-31'"],
    "time without time zone": ["'24:00:00'", "'00:00:00.000001'"],
    "time with time zone": ["'23:59:59.999999-15:59'"],
    "interval": ["'-178000000 years'", "'1 mon -1 day 00:00:00.000001'", "'infinity'"],
    "bytea": ["'\\x00ff5c0a'", "''"],
    "uuid": ["gen_random_uuid()"],
    "inet": ["'::ffff:1.2.3.4/128'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(9)": ["B'101010101'"],
    "bit varying(20)": ["B''", "B'1'"],
    "money": ["'-92233720368547758.08'"],
    "point": ["'(0.1,NaN)'"],
    "box": ["'(1,2),(3,4)'"],
    "path": ["'[(0,0),(1,1)]'"],
    "circle": ["'<(0,0),1e300>'"],
    "tsvector": ["to_tsvector('simple', 'a b c a')"],
    "tsquery": ["'a & !b'"],
    "pg_lsn": ["'FFFFFFFF/FFFFFFFF'"],
    "int4range": ["'empty'", "'[1,)'"],
    "tstzrange": ["'[-infinity,infinity]'"],
    "int8multirange": ["'{[1,3),[5,9)}'", "'{}'"],
    "text[]": [
        "'{}'",
        "array[null, 'null', '', ',', '{', E'\\\\', '\"']",
        "array[['a', 'b'], ['c', 'd']]",
        "'[0:1]={x,y}'",
    ],
    "jsonb[]": ["array['{\"a\": 1}'::jsonb, null]"],
    "json[]": ["array['{ }'::json]"],
    "character(5)": ["'a'"],
    "name": ["'pg_type'"],
}


def column(number: int) -> str:
    return f"v{number}"


@pytest.fixture
def filled(conn, db):
    """Give a table a column of each type and a row for each value."""
    add_feedback(conn, created_at=NOW, safe_to_send=None)
    with psycopg.connect(db.owner_url) as owner:
        for number, (kind, values) in enumerate(VALUES.items()):
            name = sql.Identifier(column(number))
            owner.execute(
                sql.SQL("alter table agent_feedback add column {} {}").format(name, sql.SQL(kind))
            )
            for value in values:
                owner.execute(
                    sql.SQL(
                        "insert into agent_feedback (conversation_id, input_text, model_draft, {}) values ('c', 'i', 'd', {})"
                    ).format(name, sql.SQL(value))
                )


def test_every_type_comes_back_equal(conn, db, filled, store, keeper_for, start_run, end, scratch):
    run = start_run("lifecycle.backup")
    made = backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    proof = start_run("lifecycle.verify")

    report = verify(
        conn, run=proof, store=store, keeper=keeper_for(proof), keys=KEYS, scratch=scratch
    )

    assert report.level == EQUAL
    found = manifest.read(store, made.manifest, KEYS).part("agent_feedback")
    assert found.rows == 1 + sum(map(len, VALUES.values()))
    kinds = list(VALUES)
    slow = {kinds[int(name.removeprefix("v"))] for name in found.hashed_as_text}
    assert {"json", "xml", "point", "tsvector", "money", "json[]", "bit(9)"} <= slow
    assert not slow & {"jsonb", "text", "numeric", "text[]", "timestamp with time zone", "bytea"}


@pytest.mark.parametrize(
    "change",
    [
        """update agent_feedback set v4 = '{"b":1}' where id = (select min(id) from agent_feedback where v4 is not null)""",
        "update agent_feedback set v0 = v0 || ' ' where id = (select min(id) from agent_feedback where v0 is not null)",
        "delete from agent_feedback where id = (select max(id) from agent_feedback)",
    ],
    ids=["slow path", "fast path", "a row"],
)
def test_the_content_hash_sees_one_changed_value(db, filled, change):
    from ocd.datasets.registry import dataset
    from ocd.lifecycle import content, snapshots

    facts = dataset("agent_feedback")
    names = [one.name for one in facts.columns] + [column(number) for number in range(len(VALUES))]
    with psycopg.connect(db.superuser_url) as admin, admin.cursor() as cursor:
        snapshots.pin(cursor)
        textual = content.without_hash(cursor, VALUES)
        as_text = [column(number) for number, kind in enumerate(VALUES) if kind in textual]
        before = content.measure(cursor, facts, names, as_text)
        cursor.execute("set local search_path = public")
        change = change.replace("v4", column(list(VALUES).index("json")))
        cursor.execute(change)
        snapshots.pin(cursor)

        after = content.measure(cursor, facts, names, as_text)

    assert before.digest != after.digest


def test_sessions_print_alike_whatever_the_server_is_set_to(
    conn, db, filled, store, keeper_for, start_run, end, scratch
):
    database = db.url.rsplit("/", 1)[1].split("?")[0]
    with psycopg.connect(db.superuser_url, autocommit=True) as admin:
        for name, value in (
            ("datestyle", "ISO, DMY"),
            ("intervalstyle", "iso_8601"),
            ("extra_float_digits", "-5"),
            ("bytea_output", "escape"),
        ):
            admin.execute(
                sql.SQL("alter database {} set {} = {}").format(
                    sql.Identifier(database), sql.Identifier(name), sql.Literal(value)
                )
            )
    with db.engine.connect() as fresh:
        assert fresh.execute(text("show datestyle")).scalar() == "ISO, DMY"
        run = start_run("lifecycle.backup")
        backup(fresh, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    proof = start_run("lifecycle.verify")

    report = verify(
        conn, run=proof, store=store, keeper=keeper_for(proof), keys=KEYS, scratch=scratch
    )

    assert all(one.is_equal for one in report.compared)


def test_every_table_that_is_backed_up_is_compared(
    conn, store, keeper_for, start_run, end, scratch
):
    run = start_run("lifecycle.backup")
    backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    proof = start_run("lifecycle.verify")

    report = verify(
        conn, run=proof, store=store, keeper=keeper_for(proof), keys=KEYS, scratch=scratch
    )

    assert {one.dataset for one in report.compared} == {
        one.name for one in DATASETS if one.is_backed_up
    }
