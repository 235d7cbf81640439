"""A detector is true of the faulty and of nothing else, and what is mended has no fault left."""

from __future__ import annotations

import json

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocd.quality.cleanse.fixers import (
    DATE,
    DISTINCT,
    EMAIL,
    PHONE,
    SPACES,
    TRIM,
    UPPER,
    at_key,
    vocabulary,
)
from ocd.quality.cleanse.fixes import FIXES, IMMUTABLE

STATUS = vocabulary({"closed": "resolved", "open": "open"})

CASES = [
    (TRIM, " a b\t", "a b"),
    (TRIM, "a b", "a b"),
    (TRIM, "  \n", "  \n"),
    (TRIM, None, None),
    (SPACES, "Ann  Lee\tX", "Ann Lee X"),
    (SPACES, "Ann Lee", "Ann Lee"),
    (EMAIL, "Ann.Lee@Shop.Example", "ann.lee@shop.example"),
    (EMAIL, "Ann Lee", "Ann Lee"),
    (EMAIL, "Ann@home", "Ann@home"),
    (UPPER, "usd", "USD"),
    (UPPER, "us d", "us d"),
    (PHONE, "(312) 555-0199", "+13125550199"),
    (PHONE, "1-312-555-0199", "+13125550199"),
    (PHONE, "+49 30 1234 567", "+49301234567"),
    (PHONE, "+13125550199", "+13125550199"),
    (PHONE, "555-0199", "555-0199"),
    (PHONE, "call Ann 312 555 0199", "call Ann 312 555 0199"),
    (DATE, "2026/3/7", "2026-03-07"),
    (DATE, "07.03.2026", "2026-03-07"),
    (DATE, "3/17/2026", "2026-03-17"),
    (DATE, "17/3/2026", "2026-03-17"),
    (DATE, "3/3/2026", "2026-03-03"),
    (DATE, "3/7/2026", "3/7/2026"),
    (DATE, "30.02.2026", "30.02.2026"),
    (DATE, "29.02.2024", "2024-02-29"),
    (DATE, "29.02.2100", "29.02.2100"),
    (DATE, "99/99/9999", "99/99/9999"),
    (DATE, "0000/1/1", "0000/1/1"),
    (DATE, "2026-03-07", "2026-03-07"),
    (DATE, "soon", "soon"),
    (STATUS, " Closed", "resolved"),
    (STATUS, "OPEN", "open"),
    (STATUS, "resolved", "resolved"),
    (STATUS, "lost", "lost"),
]


@pytest.fixture(scope="module")
def ask(server):
    """Run a fixer over a value: returns whether a fault was found, and the mended value."""
    with psycopg.connect(server, autocommit=True) as conn:

        def deed(fixer, value, kind="text"):
            mended = fixer.mended("v")
            row = conn.execute(
                f"select coalesce({fixer.detects.replace('{v}', 'v')}, false), {mended} from (select cast(($1)::text as {kind}) as v) t".replace(
                    "%", "%%"
                ).replace("($1)", "(%s)"),
                [value],
            ).fetchone()
            return row[0], row[1]

        yield deed


@pytest.mark.parametrize(("fixer", "value", "mended"), CASES)
def test_a_value_is_mended_or_left_alone(ask, fixer, value, mended):
    found, became = ask(fixer, value)

    assert became == mended
    assert found is (value != mended)


#: Words that look like what each fixer looks for, so that random ones hit it.
WORDS = st.text(alphabet=" \tAbz@.-/+()0123456789_é", max_size=16) | st.sampled_from(
    [value for _, value, _ in CASES if value is not None]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(WORDS)
def test_mending_twice_is_mending_once(ask, value):
    for fixer in (TRIM, SPACES, EMAIL, UPPER, PHONE, DATE, STATUS):
        found, once = ask(fixer, value)
        again, twice = ask(fixer, once)
        assert (again, twice) == (False, once), fixer.name
        assert found is (once != value), fixer.name


@pytest.mark.parametrize(
    ("value", "mended"),
    [("{b,a,b,c,a}", ["b", "a", "c"]), ("{b,a}", ["b", "a"]), ("{}", []), (None, None),
     ("{x,NULL,NULL}", ["x", None])],
)  # fmt: skip
def test_a_list_names_each_once_in_its_order(ask, value, mended):
    assert ask(DISTINCT, value, "text[]")[1] == mended


@pytest.mark.parametrize(
    ("value", "mended"),
    [
        ('{"email": "A@B.Example", "n": 1.50}', {"email": "a@b.example", "n": 1.5}),
        ('{"email": 7}', {"email": 7}),
        ('{"other": "A@B.Example"}', {"other": "A@B.Example"}),
        ('["A@B.Example"]', ["A@B.Example"]),
    ],
)
def test_under_a_key_only_a_text_is_mended(ask, value, mended):
    assert ask(at_key("email", EMAIL), value, "jsonb")[1] == json.loads(json.dumps(mended))


def test_a_fixer_that_does_otherwise_has_another_version():
    assert TRIM.version != SPACES.version
    assert vocabulary({"a": "b"}).version != vocabulary({"a": "c"}).version


def test_fixes_are_of_columns_that_exist_and_never_of_records():
    assert len({one.id for one in FIXES}) == len(FIXES)
    assert all(one.facts for one in FIXES)
    assert not {one.dataset.name for one in FIXES} & IMMUTABLE
    assert {one.dataset.schema for one in FIXES} == {"public", "landing"}
