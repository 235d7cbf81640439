"""Deterministic sample data for the embedded database: an invented shop's desk at work."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset
from ocd.local.sample_desk import DESK_SAMPLES
from ocd.local.samples import AGENT_SAMPLES, FAULTS, Moment, Row, Sample, conversations

SEED = 20251010
#: Sample rows reach this far back, past the longest retention of the agent tables.
REACH = timedelta(days=200)
#: This share of rows is older than their table's `recent`; most of that is past retention.
OLD_SHARE = 0.15
#: One row in so many is faulty, where faults are asked for.
FAULT_EVERY = 50
#: Progress is told about every so many rows.
PROGRESS_ROWS = 50_000
SAMPLES = (*AGENT_SAMPLES, *DESK_SAMPLES)
#: What follows from sample rows: the table, its statement, and how its rows are known again.
DERIVED = (
    (
        "agent_qc",
        statement(__file__, "insert_sample_marks.sql"),
        """run_id in (select run_id from public.agent_run where metadata @> '{"sample": true}')""",
    ),
    (
        "support_curated_replies",
        statement(__file__, "insert_sample_replies.sql"),
        "source_message_id like 'demo-%'",
    ),
)


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
        return f"{self.rows:,} sample rows in {len(self.rows_by_dataset)} tables{faults}"


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
    """Write `rows` sample rows of agents and what belongs to them, the same for the same day of `now`.

    One tenth approvals, three feedback, the rest queries, and beside them about half as many rows of
    conversations, messages, decisions, orders and so on. All in order of time, the newest of yesterday.
    `faults` plants rows that break one quality rule each. The caller commits.
    """
    until = now.replace(hour=0, minute=0, second=0, microsecond=0)
    total = sum(sample.count(rows) for sample in SAMPLES)
    planted: Counter[str] = Counter()
    counts: dict[str, int] = {}
    for sample in SAMPLES:
        made = _rows(sample, rows, until)
        if faults:
            made = _with_faults(sample.dataset, made, planted)
        done = sum(counts.values())
        _copy(conn, sample.dataset, _told(made, done, total, progress))
        counts[sample.dataset.name] = sample.count(rows)
    for name, derive, _ in DERIVED:
        counts[name] = conn.execute(derive).rowcount
    if progress:
        progress(total, total)
    return SeedReport(counts, dict(planted))


def clean(conn: Connection) -> int:
    """Delete exactly the sample and test rows; returns how many. The caller commits."""
    marks = [(f"public.{name}", mark) for name, _, mark in DERIVED]
    marks += [(sample.dataset.table, sample.mark) for sample in reversed(SAMPLES)]
    done = 0
    for table, mark in marks:
        statement = sql.SQL("delete from {} where {}").format(
            sql.Identifier(*table.split(".")), sql.SQL(mark)
        )
        done += _driver(conn).execute(statement).rowcount
    return done


def _rows(sample: Sample, rows: int, until: datetime) -> Iterator[Row]:
    rng = random.Random(f"{SEED}-{sample.dataset.name}")  # noqa: S311 - sample data, not a secret
    count, talks = sample.count(rows), conversations(rows)
    before = _age(0, sample.recent)
    for number in range(count):
        age = _age((number + 1) / count, sample.recent)
        # Less than a step, so that rows stay in order; the last one is always of yesterday.
        scatter = min(before - age, timedelta(hours=12))
        created_at = until - age - scatter * (1 - rng.random())
        settled_at = min(created_at + timedelta(seconds=rng.randrange(20, 3600)), until)
        moment = Moment(number, number * talks // count, created_at, settled_at, until)
        yield sample.make(rng, moment)
        before = age


def _age(share: float, recent: timedelta) -> timedelta:
    """Return how old the row is behind which this share of all rows lies; 1 is the newest."""
    if share < OLD_SHARE:
        return REACH - (REACH - recent) * (share / OLD_SHARE)
    return recent * ((1 - share) / (1 - OLD_SHARE))


def _with_faults(dataset: Dataset, rows: Iterable[Row], planted: Counter[str]) -> Iterator[Row]:
    """Break one rule in every FAULT_EVERYth row, each rule in turn, and count them."""
    faults = FAULTS.get(dataset.name, ())
    for number, row in enumerate(rows):
        turn, place = divmod(number, FAULT_EVERY)
        if faults and place == 0:
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


def _copy(conn: Connection, dataset: Dataset, rows: Iterator[Row]) -> None:
    """Copy rows in; each names the same columns, what it leaves out gets its default."""
    first = next(rows, None)
    if first is None:
        return
    names = list(first)
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(dataset.schema, dataset.relation),
        sql.SQL(", ").join(map(sql.Identifier, names)),
    )
    with _driver(conn).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write_row(list(first.values()))
        for row in rows:
            copy.write_row([row[name] for name in names])


def _driver(conn: Connection) -> psycopg.Connection[Any]:
    """The driver's connection, for COPY, inside a transaction that SQLAlchemy knows of."""
    if not conn.in_transaction():
        conn.begin()  # else the caller's commit would find nothing to commit
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection)
