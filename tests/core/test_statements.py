"""A statement's text without its values."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine, text

from ocd.core import statements
from ocd.core.db import sqlalchemy_url
from ocd.core.statements import normalised

SAME = {
    "literals": (
        "select * from t where a = 'x''y' and b = 7",
        "select * from t where a='z' and b=8",
    ),
    "case and space": ("SELECT *\n  FROM T  WHERE a = 1 ;", "select * from t where a = 2"),
    "parameters": ("select * from t where a = %(a)s", "select * from t where a = $1"),
    "percent signs": ("select a %% %(b)s from t", "select a % 3 from t"),
    "lists": ("select * from t where a in (1, 2,3)", "select * from t where a in ($1)"),
    "arrays": ("select array['a', 'b']", "select array['c']"),
    "rows": (
        "insert into t (a, b) values (1, 'x'), (2, 'y')",
        "insert into t (a, b) values (3, 'z')",
    ),
    "comments": ("select a -- ann@example.test\nfrom t /* 'x' */", "select a from t"),
    "signs": ("select * from t where a > -5", "select * from t where a > 5"),
}
VALUES = {
    "a doubled quote": "select 'it''s secret'",
    "an escaped quote": r"select E'a\'secret'",
    "a backslash is no escape": r"select '\', secret_column, 'x'",
    "dollar quotes": "select $$secret$$, $a$ secret $$ $a$",
    "a text that was cut": "select * from t where a = 'the secret is",
    "an escaped text that was cut": "select E'secret\\",
    "dollar quotes that were cut": "select $x$ secret",
    "a comment that was cut": "select a /* secret",
    "a comment in a comment": "select a /* b /* c */ secret */",
    "a password": "alter role ann password 'secret'",
    "bytes": "select x'5ec7e7', b'101', u&'secret'",
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_differs_in_values_only_is_the_same_text(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize("statement", VALUES.values(), ids=VALUES)
def test_no_value_is_left(statement):
    assert "secret" not in normalised(statement).replace("secret_column", "")
    assert "5ec7" not in normalised(statement)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("select now() - interval '1 day'", "select now() - $1::interval"),
        ("select a - 1, a -1, -1 from t", "select a - $1, a -$2, $3 from t"),
        ("select a, count(*) from t group by 1 order by 2 desc, 1", None),
        ('select "Mixed Case" from t', None),
        ("select a ->> 'k', b::int from t", "select a ->> $1, b::int from t"),
        ("select 5e-3, 1.5, 0x1F, t1.c2 from t1", "select $1, $2, $3, t1.c2 from t1"),
        ("select true, null", None),
    ],
)
def test_the_text_means_the_same(statement, text):
    assert normalised(statement) == (text or statement)


def test_a_long_text_is_cut():
    assert len(normalised("select " + "a, " * 9000 + "b")) == statements.MAX_CHARS


@given(st.text(alphabet="abc'$\"\\-/* \n1%;", max_size=40))
def test_any_text_is_read_to_its_end(text):
    assert normalised(normalised(text)) is not None


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_whatever_stands_in_a_text_is_left_out(value):
    quoted = value.replace("'", "''")

    assert normalised(f"select a from t where b = '{quoted}'") == "select a from t where b = $1"


@pytest.fixture
def watched(db):
    engine = create_engine(sqlalchemy_url(db.url), poolclass=NullPool)
    statements.watch(engine)
    yield engine
    engine.dispose()


def test_a_slow_statement_is_noted_without_its_values(watched, caplog):
    with watched.connect() as conn:
        conn.execute(text("select pg_sleep(:s), 'secret'"), {"s": statements.SLOW_S})

    (record,) = [one for one in caplog.records if one.message == statements.EVENT]
    assert (record.levelno, record.statement) == (logging.WARNING, "select pg_sleep($1), $2")
    assert record.ms >= 1000 * statements.SLOW_S


def test_a_fast_statement_is_not_noted(watched, caplog, monkeypatch):
    monkeypatch.setattr(statements, "SLOW_S", 60)
    with watched.connect() as conn:
        conn.execute(text("select 1"))

    assert not [one for one in caplog.records if one.message == statements.EVENT]
