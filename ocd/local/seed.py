"""Deterministic sample data for the embedded database: an invented shop's agents at work."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
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
#: Approvals younger than this may be pending; older ones would be findings of their own.
BACKLOG = timedelta(days=80)
#: One row in so many is faulty, where faults are asked for.
FAULT_EVERY = 50
#: Progress is told about every so many rows.
PROGRESS_ROWS = 50_000

AGENTS = ("data", "engineer", "support", "marketing", "ai", "qa", "ops")
# Nobody: the people, cars and orders are invented.
_PEOPLE = ("mara.quill", "tobin.ashgrove", "odette.farrow", "cass.lindqvist", "rufus.benbow")
_CARS = ("32 roadster", "40 coupe", "55 wagon", "57 pickup", "69 fastback")
_PARTS = ("PTFE hose", "AN-6 fitting", "fuel pump", "fuel filter", "regulator", "hardline kit")
_EXCHANGES = (
    ("Which {part} fits a {car}?", "For the {car} take the {part} in AN-6; AN-8 above 500 hp."),
    ("Is the {part} in stock?", "The {part} ships within two days."),
    ("Where is order #{order}?", "Order #{order} left the warehouse yesterday."),
    ("Can I run E85 through the {part}?", "Yes, every seal of the {part} stands E85."),
    ("How do I return a {part}?", "Unused within 30 days; the label for #{order} is in your mail."),
    ("What feeds a {car} with a return line?", "A 255 lph pump in the tank and one {part}."),
)
_LABELS = ("helpful", "accurate", "complete", "vague", "needs_improvement", "risky")
_INTERRUPTIONS = ("requires_human", "policy_check", "compliance_review", "pricing_approval")

Row = dict[str, Any]


@dataclass(frozen=True)
class SeedReport:
    """What was written per table, and how many rows break which quality rule on purpose."""

    version: ClassVar[int] = 1
    rows_by_dataset: dict[str, int]
    planted: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows written."""
        return sum(self.rows_by_dataset.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        faults = f", {sum(self.planted.values()):,} of them faulty" if self.planted else ""
        return f"{self.rows:,} sample rows{faults}"


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

    One tenth approvals, three feedback, the rest queries, in order of time, the newest of yesterday.
    Conversation ids start with `demo-`. `faults` plants rows that break one quality rule each.
    """
    until = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shares = {AGENT_APPROVALS: rows // 10, AGENT_FEEDBACK: rows * 3 // 10}
    shares[AGENT_QUERIES] = rows - sum(shares.values())
    planted: Counter[str] = Counter()
    done = 0
    for dataset, count in shares.items():
        made = _rows(dataset, count, until)
        if faults:
            made = _with_faults(dataset, made, planted)
        _copy(conn, dataset, _told(made, done, rows, progress))
        done += count
        if progress:
            progress(done, rows)
    return SeedReport({dataset.name: count for dataset, count in shares.items()}, dict(planted))


def clean(conn: Connection) -> int:
    """Delete exactly the sample and test rows; returns how many. The caller commits."""
    done = 0
    for dataset in (AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES):
        statement = sql.SQL(
            "delete from {} where conversation_id like 'demo-%' or conversation_id like 'test-%'"
        ).format(sql.Identifier(dataset.schema, dataset.relation))
        done += _driver(conn).execute(statement).rowcount
    return done


def _rows(dataset: Dataset, count: int, until: datetime) -> Iterator[Row]:
    make = _MAKERS[dataset.name]
    rng = random.Random(f"{SEED}-{dataset.name}")  # noqa: S311 - sample data, not a secret
    step = timedelta(days=DAYS) / max(count, 1)
    # Less than a step, so that rows stay in order; the last one is always of yesterday.
    scatter = min(step, timedelta(hours=12))
    for number in range(count):
        created_at = until - step * (count - 1 - number) - scatter * (1 - rng.random())
        settled_at = min(created_at + timedelta(seconds=rng.randrange(20, 3600)), until)
        row = {
            "conversation_id": f"demo-{number // 3}",
            "created_at": created_at,
            "updated_at": settled_at,
        }
        yield row | make(rng, created_at, settled_at, until)


def _exchange(rng: random.Random) -> tuple[str, str]:
    """A question and its answer."""
    words = {
        "part": rng.choice(_PARTS),
        "car": rng.choice(_CARS),
        "order": rng.randrange(1000, 99_999),
    }
    question, answer = rng.choice(_EXCHANGES)
    return question.format_map(words), answer.format_map(words)


def _approval(
    rng: random.Random, created_at: datetime, settled_at: datetime, until: datetime
) -> Row:
    backlog = 60 if created_at > until - BACKLOG else 0
    status = rng.choices(("pending", "approved", "rejected", "expired"), (backlog, 30, 8, 2))[0]
    state = {
        "intent": rng.choice(("refund", "discount", "exchange")),
        "order": f"#{rng.randrange(1000, 99_999)}",
        "amount_cents": rng.randrange(900, 90_000),
    }
    return {
        "serialized": json.dumps(state),
        "last_interruptions": json.dumps([{"type": rng.choice(_INTERRUPTIONS)}]),
        "status": status,
        "agent": rng.choice(AGENTS),
        "approved_by": rng.choice(_PEOPLE) if status in {"approved", "rejected"} else None,
        "resolved_at": None if status == "pending" else settled_at,
    }


def _feedback(
    rng: random.Random, created_at: datetime, settled_at: datetime, until: datetime
) -> Row:
    question, draft = _exchange(rng)
    row: Row = {
        "input_text": question,
        "model_draft": draft,
        "safe_to_send": rng.choices((True, False, None), (70, 10, 20))[0],
        "labels": [],
        "rubric": "{}",
        "annotator": None,
        "meta": json.dumps({"confidence": round(rng.random(), 2), "model_version": "demo-1"}),
    }
    if row["safe_to_send"] is None:
        return row
    rubric = {key: rng.randint(1, 5) for key in ("clarity", "accuracy", "tone")}
    return row | {
        "labels": rng.sample(_LABELS, rng.randint(1, 2)),
        "rubric": json.dumps(rubric),
        "annotator": rng.choice(_PEOPLE),
    }


def _query(rng: random.Random, created_at: datetime, settled_at: datetime, until: datetime) -> Row:
    question, answer = _exchange(rng)
    return {
        "query": question,
        "result": json.dumps({"answer": answer, "sources": rng.randint(1, 4)}),
        "agent": rng.choice(AGENTS),
        "approved": rng.choices((True, False, None), (60, 10, 30))[0],
        "human_edited": rng.random() < 0.15,
        # Median about 80 ms; some 4 % are slow.
        "latency_ms": min(5000, int(rng.lognormvariate(4.4, 0.5))),
    }


_MAKERS: dict[str, Callable[[random.Random, datetime, datetime, datetime], Row]] = {
    AGENT_APPROVALS.name: _approval,
    AGENT_FEEDBACK.name: _feedback,
    AGENT_QUERIES.name: _query,
}


def _back_in_time(row: Row) -> Row:
    return {"updated_at": row["created_at"] - timedelta(days=1)}


#: Per table: the quality rule that is broken, and the columns that break it. Only what the tables'
#: own constraints allow.
_FAULTS: dict[str, tuple[tuple[str, Callable[[Row], Row]], ...]] = {
    AGENT_APPROVALS.name: (
        (
            "agent_approvals.approved_by.named",
            lambda row: {
                "status": "approved",
                "approved_by": None,
                "resolved_at": row["updated_at"],
            },
        ),
        (
            "agent_approvals.resolved_at.set",
            lambda row: {"status": "expired", "resolved_at": None},
        ),
        ("agent_approvals.updated_at.order", _back_in_time),
    ),
    AGENT_FEEDBACK.name: (
        ("agent_feedback.rubric.clarity", lambda row: {"rubric": '{"clarity": "high"}'}),
        ("agent_feedback.rubric.accuracy", lambda row: {"rubric": '{"accuracy": 9}'}),
        (
            "agent_feedback.annotator.named",
            lambda row: {"safe_to_send": True, "annotator": None},
        ),
        ("agent_feedback.updated_at.order", _back_in_time),
    ),
    AGENT_QUERIES.name: (
        ("agent_queries.latency_ms.range", lambda row: {"latency_ms": 99_999}),
        ("agent_queries.query.filled", lambda row: {"query": " "}),
        ("agent_queries.updated_at.order", _back_in_time),
    ),
}


def _with_faults(dataset: Dataset, rows: Iterable[Row], planted: Counter[str]) -> Iterator[Row]:
    """Break one rule in every FAULT_EVERYth row, each rule in turn, and count them."""
    faults = _FAULTS[dataset.name]
    for number, row in enumerate(rows):
        turn, place = divmod(number, FAULT_EVERY)
        if place == 0:
            rule, change = faults[turn % len(faults)]
            planted[rule] += 1
            yield row | change(row)
        else:
            yield row


def _told(
    rows: Iterable[Row], done: int, total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        yield row
        if progress and number % PROGRESS_ROWS == 0:
            progress(done + number, total)


def _copy(conn: Connection, dataset: Dataset, rows: Iterable[Row]) -> None:
    names = [column.name for column in dataset.columns if column.name not in {"id", "notes"}]
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(dataset.schema, dataset.relation),
        sql.SQL(", ").join(map(sql.Identifier, names)),
    )
    with _driver(conn).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])


def _driver(conn: Connection) -> psycopg.Connection[Any]:
    """The driver's connection, for COPY, inside a transaction that SQLAlchemy knows of."""
    if not conn.in_transaction():
        conn.begin()  # else the caller's commit would find nothing to commit
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection)
