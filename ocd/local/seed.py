"""Deterministic sample data for the embedded database: an invented shop's agents at work."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Dataset

SEED = 20251010
#: Sample rows reach this far back, past the longest retention, so that every rule has work.
DAYS = 200
AGENTS = ("data", "engineer", "support", "marketing", "ai", "qa", "ops")
_PEOPLE = ("annotator-one", "annotator-two", "operator-red", "operator-blue")
_QUESTIONS = (
    "Which AN size fits a 3/8 hardline?",
    "Is the flathead gasket set back in stock?",
    "Where is my order?",
    "Can I run E85 through PTFE hose?",
    "What pump feeds an LS3 with a return line?",
    "How do I return a wrong fitting?",
)
_ANSWERS = (
    "A -6AN fitting matches 3/8 inch hardline.",
    "The set ships again next week.",
    "Your parcel left the warehouse yesterday.",
    "Yes, the PTFE liner stands E85.",
    "A 255 lph in-tank pump is enough.",
    "Send it back within 30 days, unused.",
)


@dataclass(frozen=True)
class SeedReport:
    """What was written per table."""

    version: ClassVar[int] = 1
    rows_by_dataset: dict[str, int]

    @property
    def rows(self) -> int:
        """Rows written."""
        return sum(self.rows_by_dataset.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.rows:,} sample rows"


def is_empty(conn: Connection) -> bool:
    """Whether the agent tables hold nothing and nothing ever ran here."""
    row = conn.execute(
        text("""
            select exists (select from public.agent_approvals) or exists (select from public.agent_feedback)
                or exists (select from public.agent_queries) or exists (select from ocd.run)
        """)
    ).scalar_one()
    return not row


def seed(
    conn: Connection,
    *,
    rows: int,
    faults: bool,
    now: datetime,
    progress: Callable[[int, int], None] | None,
) -> SeedReport:
    """Write `rows` sample rows, the same for the same day of `now`. The caller commits.

    `faults` plants rows that quality rules find. Conversation ids start with `demo-`.
    """
    until = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shares = {AGENT_APPROVALS: rows // 10, AGENT_FEEDBACK: rows * 3 // 10}
    shares[AGENT_QUERIES] = rows - sum(shares.values())
    makers = {AGENT_APPROVALS: _approval, AGENT_FEEDBACK: _feedback, AGENT_QUERIES: _query}
    done = 0
    for dataset, count in shares.items():
        rng = random.Random(f"{SEED}-{dataset.name}")  # noqa: S311 - sample data, not a secret
        _copy(conn, dataset, _rows(makers[dataset], rng, count, until, faults))
        done += count
        if progress:
            progress(done, rows)
    return SeedReport({dataset.name: count for dataset, count in shares.items()})


def clean(conn: Connection) -> int:
    """Delete exactly the sample and test rows; returns how many. The caller commits."""
    done = 0
    for table in (AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES):
        statement = sql.SQL(
            "delete from {} where conversation_id like 'demo-%' or conversation_id like 'test-%'"
        ).format(sql.Identifier(table.schema, table.relation))
        cursor = cast("psycopg.Connection[Any]", conn.connection.driver_connection).execute(
            statement
        )
        done += cursor.rowcount
    return done


Row = dict[str, Any]


def _rows(
    make: Callable[[random.Random, int, datetime], Row],
    rng: random.Random,
    count: int,
    until: datetime,
    faults: bool,
) -> Iterator[Row]:
    step = timedelta(days=DAYS) / max(count, 1)
    for number in range(count):
        created_at = until - timedelta(days=DAYS) + step * number + timedelta(seconds=rng.random())
        row = make(rng, number, created_at)
        row |= {
            "conversation_id": f"demo-{number // 3}",
            "created_at": created_at,
            "updated_at": created_at + timedelta(minutes=2),
        }
        if faults and number % 50 == 7:
            _plant(row, number)
        yield row


def _approval(rng: random.Random, number: int, created_at: datetime) -> Row:
    status = rng.choices(("pending", "approved", "rejected", "expired"), (25, 50, 20, 5))[0]
    return {
        "serialized": json.dumps(
            {
                "intent": "refund",
                "order": f"#{1000 + number}",
                "amount_cents": rng.randrange(900, 90_000),
            }
        ),
        "last_interruptions": json.dumps(
            [{"type": rng.choice(("requires_human", "policy_check", "pricing_approval"))}]
        ),
        "status": status,
        "agent": rng.choice(AGENTS),
        "approved_by": rng.choice(_PEOPLE) if status in {"approved", "rejected"} else None,
        "resolved_at": None
        if status == "pending"
        else created_at + timedelta(seconds=rng.randrange(20, 3600)),
    }


def _feedback(rng: random.Random, number: int, created_at: datetime) -> Row:
    safe = rng.choices((True, False, None), (70, 10, 20))[0]
    return {
        "input_text": rng.choice(_QUESTIONS),
        "model_draft": rng.choice(_ANSWERS),
        "safe_to_send": safe,
        "labels": [rng.choice(("helpful", "accurate", "vague", "risky"))]
        if safe is not None
        else [],
        "rubric": json.dumps(
            {}
            if safe is None
            else {key: rng.randint(1, 5) for key in ("clarity", "accuracy", "tone")}
        ),
        "annotator": None if safe is None else rng.choice(_PEOPLE),
        "meta": json.dumps({"confidence": round(rng.random(), 2), "model_version": "demo-1"}),
    }


def _query(rng: random.Random, number: int, created_at: datetime) -> Row:
    return {
        "query": rng.choice(_QUESTIONS),
        "result": json.dumps({"answer": rng.choice(_ANSWERS), "sources": rng.randint(1, 4)}),
        "agent": rng.choice(AGENTS),
        "approved": rng.choices((True, False, None), (60, 10, 30))[0],
        "human_edited": rng.random() < 0.15,
        "latency_ms": min(5000, int(rng.lognormvariate(4.4, 0.5))),
    }


def _plant(row: Row, number: int) -> None:
    """Break one rule that the tables' own constraints do not guard."""
    if "status" in row:
        row |= {"status": "approved", "approved_by": None, "resolved_at": row["created_at"]}
    elif "rubric" in row:
        row["rubric"] = json.dumps({"clarity": "high", "accuracy": 9})
    else:
        row["latency_ms"] = 99_999
    if number % 100 == 7:
        row["updated_at"] = row["created_at"] - timedelta(days=1)


def _copy(conn: Connection, dataset: Dataset, rows: Iterator[Row]) -> None:
    names = [column.name for column in dataset.columns if column.name not in {"id", "notes"}]
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(dataset.schema, dataset.relation),
        sql.SQL(", ").join(map(sql.Identifier, names)),
    )
    cursor = cast("psycopg.Connection[Any]", conn.connection.driver_connection).cursor()
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
