"""What the test jobs do to the database: effects without any constraint, so that doubles would show.

`gate` is where a test holds a worker: the worker waits for an advisory lock that the test holds, and
the test sees it wait. So a test acts at an exact place of the work, without guessing at times.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.ledger.run import Run

TABLES = """
    create table public.chaos_source (batch integer not null, row integer not null);
    create table public.chaos_effect (
      job text not null, window_start timestamptz not null, batch integer not null, row integer not null,
      run_id bigint not null, fence bigint not null, customer text
    );
    create table public.chaos_start (run_id bigint not null, fence bigint not null, at timestamptz not null default clock_timestamp());
    create table public.chaos_poison (job text not null);
    grant select, insert, update, delete, truncate on all tables in schema public to ocd_worker;
"""
#: The first key of every gate's lock; the second is the gate's number.
GATES = 4711
#: The gate behind the last batch, before the ending.
AT_END = 1_000_000


@dataclass(frozen=True)
class Effects:
    """What a test job did."""

    version: ClassVar[int] = 1
    rows: int
    resumed_at: int

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.rows} effects, from batch {self.resumed_at}"


def gate(conn: Connection, number: int, gates: str) -> None:
    """Wait while a test holds this gate; only the gates named (`2,4`) are looked at."""
    if str(number) in gates.split(","):
        conn.execute(
            text("select pg_advisory_xact_lock_shared(:first, :second)"),
            {"first": GATES, "second": number},
        )


def started(conn: Connection, run: Run) -> None:
    """Note that the body was entered, whatever becomes of it. Commits."""
    conn.execute(
        text("insert into public.chaos_start (run_id, fence) values (:run_id, :fence)"),
        {"run_id": run.id, "fence": run.fence},
    )
    conn.commit()


def write(
    conn: Connection, *, run: Run, batches: int, rows: int, pause_s: float, gates: str
) -> Effects:
    """Write `batches` batches of `rows` effects, from the checkpoint on. Commits every batch."""
    first = int((run.checkpoint or {}).get("batch", 0))
    started(conn, run)
    for number in range(first, batches):
        with run.batch(conn) as batch:
            conn.execute(_INSERT, [_row(run, number, row) for row in range(rows)])
            time.sleep(pause_s)
            gate(conn, number, gates)
            batch.checkpoint = {"batch": number + 1}
            batch.progress(number + 1, batches, "batches")
    gate(conn, AT_END, gates)
    conn.rollback()
    return Effects((batches - first) * rows, first)


def move(conn: Connection, *, run: Run, gates: str) -> Effects:
    """Move one batch after the other out of the source; no checkpoint, the rows left are the state."""
    started(conn, run)
    moved = 0
    while True:
        with run.batch(conn) as batch:
            taken = conn.execute(_TAKE).all()
            if not taken:
                break
            gate(conn, taken[0].batch, gates)
            conn.execute(_INSERT, [_row(run, one.batch, one.row) for one in taken])
            moved += len(taken)
            batch.progress(moved)
    return Effects(moved, 0)


def is_poisoned(conn: Connection, job: str) -> bool:
    """Whether a test asks this job to kill its process."""
    found = conn.execute(
        text("select 1 from public.chaos_poison where job = :job"), {"job": job}
    ).first()
    conn.rollback()
    return found is not None


def remember(conn: Connection, *, run: Run, values: dict[str, Any]) -> Effects:
    """Keep the arguments as an effect, to see what reached the body. Commits."""
    with run.batch(conn):
        conn.execute(_INSERT, [_row(run, 0, 0) | {"customer": json.dumps(values, sort_keys=True)}])
    return Effects(1, 0)


_INSERT = text("""
    insert into public.chaos_effect (job, window_start, batch, row, run_id, fence, customer)
    values (:job, :window_start, :batch, :row, :run_id, :fence, :customer)
""")
_TAKE = text("""
    delete from public.chaos_source where batch = (select min(batch) from public.chaos_source)
    returning batch, row
""")


def _row(run: Run, batch: int, row: int) -> dict[str, Any]:
    return {
        "job": run.job,
        "window_start": run.window.start,
        "batch": batch,
        "row": row,
        "run_id": run.id,
        "fence": run.fence,
        "customer": None,
    }
