"""Tables without constraints, in which anything can be planted."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from ocd.quality.rule import Dimension, Kind, Rule, Severity, Source

#: One column of each type that kinds are about.
PLAYGROUND = """
    create schema play;
    create table play.parent (code text, part integer, label text);
    create table play.thing (
      id bigint generated always as identity primary key, name text, number integer, amount numeric,
      at timestamptz, code text, part integer, document jsonb, is_ok boolean
    );
    create table play.other (thing_id bigint, amount numeric);
    grant usage on schema play to ocd_worker, ocd_reader;
    grant select, insert, update, delete on all tables in schema play to ocd_worker;
    grant select on all tables in schema play to ocd_reader;
"""
COLUMNS = {
    "id": ("bigint", False),
    "name": ("text", True),
    "number": ("integer", True),
    "amount": ("numeric", True),
    "at": ("timestamp with time zone", True),
    "code": ("text", True),
    "part": ("integer", True),
    "document": ("jsonb", True),
    "is_ok": ("boolean", True),
}
THING = Source("thing", "play.thing", "id", "at", "tests", COLUMNS)


def rule_of(kind: Kind, name: str = "rule", *columns: str, **how: object) -> Rule:
    """Make a rule about the playground; `params` and others are set by name."""
    facts = {"severity": Severity.ERROR, "dimension": Dimension.VALIDITY} | how
    return Rule(f"thing.{name}", THING, kind, text="A test.", columns=columns, **facts)


@pytest.fixture
def play(db) -> Callable[..., None]:
    """Make the playground; returns what runs a statement there as its owner."""
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute(PLAYGROUND)

    def run(statement: str, rows: list[tuple[object, ...]] | None = None) -> None:
        with psycopg.connect(db.owner_url, autocommit=True) as owner, owner.cursor() as cursor:
            if rows is None:
                cursor.execute(statement)
            else:
                cursor.executemany(statement, rows)

    return run
