"""What people ask of the ledger: lists of runs, one run whole, its log lines, evidence of a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.ledger import artifacts
from ocd.ledger.windows import Window

_LIST = statement(__file__, "list_runs.sql")


@dataclass(frozen=True)
class Message:
    """What is sent for a run: its id and where to; the label is for people.

    `delay_s`: seconds until its hour; 0 where it can start now, None where it shall not start.
    """

    run_id: int
    job: str
    queue: str
    label: str
    generation: int
    delay_s: float | None


def message_of(conn: Connection, run_id: int) -> Message:
    """Return the message of a run; raises ConfigError where there is none."""
    row = conn.execute(
        text("""
            select id, job, queue, window_label, subject, kind, generation,
              case when state = 'queued' then 0.0
                   when state = 'waiting' then extract(epoch from not_before - clock_timestamp()) end as delay_s
            from ocd.run where id = :id
        """),
        {"id": run_id},
    ).first()
    if row is None:
        raise ConfigError(f"there is no run {run_id}")
    parts = [
        row.window_label,
        *map(str, row.subject.values()),
        *(["dry run"] if row.kind == "dry" else []),
    ]
    delay_s = None if row.delay_s is None else max(float(row.delay_s), 0.0)
    return Message(row.id, row.job, row.queue, " ".join(parts), row.generation, delay_s)


def state_of(conn: Connection, run_id: int) -> str | None:
    """Return the state of a run; None where there is none of that id."""
    if not 0 < run_id < 2**63:
        return None
    return conn.execute(text("select state from ocd.run where id = :id"), {"id": run_id}).scalar()


def runs(
    conn: Connection,
    *,
    ids: list[int] | None = None,
    job: str | None = None,
    state: str | None = None,
    backfill: int | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return runs, newest first: identity, state, rows, took_s, evidence, error, artifacts, blocked_by."""
    rows = conn.execute(
        _LIST,
        {
            "ids": ids,
            "job": job,
            "state": state,
            "backfill": backfill,
            "since": since,
            "limit": limit,
        },
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


def flow_ids(conn: Connection, run_id: int) -> list[int]:
    """Return the ids of the real runs of a run's flow and window, in the order of the flow."""
    rows = conn.execute(
        text("""
            select o.id from ocd.run r join ocd.run o on o.flow = r.flow and o.window_start = r.window_start
              and o.window_end = r.window_end and o.kind = 'real'
            where r.id = :id order by o.id
        """),
        {"id": run_id},
    )
    return list(rows.scalars())


def newest_flow_window(conn: Connection, flow: str) -> str | None:
    """Return the label of the newest window in which a flow has runs; None when it never ran."""
    return conn.execute(
        text(
            "select window_label from ocd.run where flow = :flow order by window_start desc limit 1"
        ),
        {"flow": flow},
    ).scalar()


def flow_runs(conn: Connection, flow: str, window: Window) -> list[dict[str, Any]]:
    """Return the real runs of a flow in a window, in the order of the flow."""
    ids = conn.execute(
        text("""
            select id from ocd.run where flow = :flow and window_start = :start and window_end = :end and kind = 'real'
        """),
        {"flow": flow, "start": window.start, "end": window.end},
    ).scalars()
    found = runs(conn, ids=list(ids), limit=10_000)
    return sorted(found, key=lambda one: int(one["id"]))


def flow_state(runs_of_flow: list[dict[str, Any]]) -> str:
    """Return how a flow's window stands: `not ordered`, `running`, `done`, or `partial` where steps ended badly. Pure."""
    states = {one["state"] for one in runs_of_flow}
    if not states:
        return "not ordered"
    if states == {"done"}:
        return "done"
    is_moving = any(
        one["state"] in {"queued", "running"}
        or (one["state"] == "waiting" and not one["blocked_by"])
        for one in runs_of_flow
    )
    return "running" if is_moving else "partial"


def typical_s(conn: Connection, job: str) -> float | None:
    """Return the median seconds of a job's last 20 done runs; None where there is none."""
    found = conn.execute(
        text("""
            select percentile_cont(0.5) within group (order by extract(epoch from finished_at - started_at))
            from (select finished_at, started_at from ocd.run
                  where job = :job and kind = 'real' and state = 'done' order by window_start desc limit 20) r
        """),
        {"job": job},
    ).scalar()
    return None if found is None else float(found)
