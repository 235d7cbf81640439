"""What people ask of the ledger: lists of runs, one run whole, its log lines, evidence of a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.ledger import artifacts

_LIST = statement(__file__, "list_runs.sql")
_LAST_GOOD = statement(__file__, "list_last_good.sql")


@dataclass(frozen=True)
class Message:
    """What is sent for a run: its id and where to; the label is for people."""

    run_id: int
    job: str
    queue: str
    label: str
    generation: int


def message_of(conn: Connection, run_id: int) -> Message:
    """Return the message of a run; raises ConfigError where there is none."""
    row = conn.execute(
        text(
            "select id, job, queue, window_label, subject, kind, generation from ocd.run where id = :id"
        ),
        {"id": run_id},
    ).first()
    if row is None:
        raise ConfigError(f"there is no run {run_id}")
    parts = [
        row.window_label,
        *map(str, row.subject.values()),
        *(["dry run"] if row.kind == "dry" else []),
    ]
    return Message(row.id, row.job, row.queue, " ".join(parts), row.generation)


def runs(
    conn: Connection,
    *,
    ids: list[int] | None = None,
    job: str | None = None,
    state: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return runs, newest first: identity, state, rows, took_s, evidence, error, artifacts, blocked_by."""
    rows = conn.execute(
        _LIST, {"ids": ids, "job": job, "state": state, "since": since, "limit": limit}
    )
    return [dict(row) for row in rows.mappings()]


def run(conn: Connection, run_id: int) -> dict[str, Any]:
    """Return one run with its attempts and artifacts; raises ConfigError for an unknown one."""
    found = runs(conn, ids=[run_id])
    if not found:
        raise ConfigError(f"there is no run {run_id}; see `ocd runs`")
    attempts = conn.execute(
        text("""
            select number, generation, worker, started_at, finished_at, outcome, error_class, error_message, traceback
            from ocd.attempt where run_id = :id order by fence
        """),
        {"id": run_id},
    )
    return found[0] | {
        "attempts": [dict(row) for row in attempts.mappings()],
        "artifacts": artifacts.of_run(conn, run_id),
    }


def log_lines(conn: Connection, run_id: int, *, last: int | None = None) -> list[dict[str, Any]]:
    """Return a run's log lines in order: at, level, event, fields; only the `last` ones if given."""
    rows = conn.execute(
        text("""
            select at, level, event, fields from ocd.log_line where run_id = :id order by id desc limit :last
        """),
        {"id": run_id, "last": last},
    )
    return [dict(row) for row in rows.mappings()][::-1]


def last_good(conn: Connection) -> dict[str, dict[str, Any]]:
    """Return per job the newest window that ended done: label and when."""
    return {
        row.job: {"window": row.window_label, "finished_at": row.finished_at}
        for row in conn.execute(_LAST_GOOD)
    }


def open_counts(conn: Connection) -> dict[str, int]:
    """Return how many runs are waiting, queued and running."""
    rows = conn.execute(
        text(
            "select state, count(*) from ocd.run where state in ('waiting', 'queued', 'running') group by state"
        )
    )
    return {"waiting": 0, "queued": 0, "running": 0} | {row[0]: row[1] for row in rows}
