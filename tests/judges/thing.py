"""One table that we and the judge are asked about: random rows, one in about a thousand spoilt per rule."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from ocd.core.settings import PROJECT
from ocd.quality.rule import Dimension, Kind, Rule, Severity, Source

COLUMNS = {
    "id": ("bigint", False),
    "name": ("text", True),
    "email": ("text", True),
    "score": ("integer", True),
    "status": ("text", True),
    "code": ("integer", True),
    "made_at": ("timestamp with time zone", True),
    "seen_at": ("timestamp with time zone", True),
    "body": ("text", True),
    "is_safe": ("boolean", True),
}
THING = Source("thing", "judged.thing", "id", "made_at", "tests", COLUMNS)
DAY_S = timedelta(days=1).total_seconds()

_MAKE = """
    create schema judged;
    create table judged.parent (code integer primary key, label text);
    insert into judged.parent select n, 'parent ' || n from generate_series(1, %(parents)s) n;
    create table judged.thing (
      id bigint generated always as identity primary key, name text, email text, score integer, status text,
      code integer, made_at timestamptz, seen_at timestamptz, body text, is_safe boolean, rest jsonb
    );
    select setseed(0.42);
    insert into judged.thing (name, email, score, status, code, made_at, seen_at, body, is_safe, rest)
    select case when random() > 0.001 then 'name ' || n %% 50 end,
      case when random() < 0.001 then 'Bad Address' || n when random() < 0.001 then 'twin' || n %% 100 || '@shop.test'
        else 'user' || n || '@shop.test' end,
      case when random() < 0.001 then 9 when random() > 0.05 then 1 + n %% 5 end,
      case when random() < 0.001 then 'gone' else (array['open', 'held', 'done'])[1 + n %% 3] end,
      case when random() < 0.001 then -n when random() > 0.02 then 1 + n %% %(parents)s end,
      now() - make_interval(secs => (%(rows)s - n) * 2),
      now() - make_interval(secs => (%(rows)s - n) * 2) + case when random() < 0.001 then -1 else 60 end
        * interval '1 second',
      case when random() < 0.001 then 'short' else repeat('text ', 25 + n %% 30) end,
      case when random() > 0.05 then n %% 7 > 0 end, jsonb_build_object('n', n, 'note', repeat('x', 200))
    from generate_series(1, %(rows)s) n;
    grant usage on schema judged to public;
    grant select on all tables in schema judged to public;
"""


def make(owner: psycopg.Connection[Any], rows: int) -> None:
    """Make the table with so many rows, and analyze it."""
    cursor = psycopg.ClientCursor(owner)
    cursor.execute(_MAKE, {"rows": rows, "parents": max(10, rows // 10)})
    cursor.execute("analyze judged.thing; analyze judged.parent")


def found_by(python: Path, judge: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """Ask a judge, a script beside this one, with the Python of its own environment; returns what it found."""
    judged = subprocess.run(
        [python, PROJECT / "tests" / "judges" / judge],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr[-2000:]
    found: dict[str, Any] = json.loads(judged.stdout.splitlines()[-1])["found"]
    return found


def _rule(kind: Kind, name: str, *columns: str, **params: Any) -> Rule:
    facts = (Dimension.VALIDITY, Severity.ERROR, "Shared with the judge.")
    return Rule(f"thing.{name}", THING, kind, *facts, params, columns)


RULES = (
    _rule(Kind.NOT_NULL, "id", "id"),
    _rule(Kind.NOT_NULL, "name", "name"),
    _rule(Kind.RANGE, "range", "score", min=1, max=5),
    _rule(Kind.REGEX, "regex", "email", pattern="[a-z0-9]+@[a-z]+[.]test"),
    _rule(Kind.SET, "set", "status", values=["open", "held", "done"]),
    _rule(Kind.REFERENCE, "reference", "code", table="judged.parent", to=("code",)),
    _rule(Kind.FRESHNESS, "freshness", "made_at", within_s=30 * DAY_S),
    _rule(Kind.VOLUME, "volume", min=1),
    _rule(Kind.CONDITION, "condition", expression="seen_at >= made_at"),
    _rule(Kind.LENGTH, "length", "body", min=10, max=400),
    _rule(Kind.DISTRIBUTION, "null_share", "is_safe", measure="null_share", max=0.1),
    _rule(Kind.UNIQUE, "unique", "email"),
)
