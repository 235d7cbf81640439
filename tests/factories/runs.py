"""Rows of the ledger, written straight: histories that would take long to live through."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from tests.factories.clock import NOW

ENDS = ("done", "failed", "refused", "cancelled", "dead")
_INSERT = text("""
    insert into ocd.run (job, kind, window_start, window_end, window_label, subject, queue, trigger, state, attempt,
      deadline_at, late_at, lease_until, lease_renewed_at, worker, queued_at, publish_at, started_at, finished_at)
    values (:job, :kind, :start, :end, :label, jsonb_build_object('of', cast(:subject as text)), :queue, 'manual',
      :state, 1, :deadline_at, :late_at, :lease_until, :renewed_at, 'host:1', :queued_at, :publish_at, :queued_at,
      :finished_at)
    returning id
""")


def insert_run(
    conn: Connection,
    *,
    job: str = "test.job",
    state: str = "done",
    day: int = 0,
    hours: int = 24,
    subject: str = "",
    kind: str = "real",
    queue: str = "short",
    queued_at: datetime = NOW,
    **more: Any,
) -> int:
    """Insert a run of the window that starts `day` days after the factories' now; returns its id.

    `more`: late_at, lease_until, renewed_at. The caller commits.
    """
    start = NOW.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=day)
    values = {
        "job": job,
        "kind": kind,
        "start": start,
        "end": start + timedelta(hours=hours),
        "label": f"{start:%Y-%m-%d}/{hours}",
        "subject": subject,
        "queue": queue,
        "state": state,
        "late_at": more.get("late_at"),
        "deadline_at": more.get("late_at"),
        "lease_until": more.get("lease_until", NOW) if state == "running" else None,
        "renewed_at": more.get("renewed_at", NOW) if state == "running" else None,
        "queued_at": None if state == "waiting" else queued_at,
        "publish_at": queued_at if state == "queued" else None,
        "finished_at": NOW if state in ENDS else None,
    }
    return int(conn.execute(_INSERT, values).scalar_one())


_FILL = text("""
    insert into ocd.run (job, window_start, window_end, window_label, queue, trigger, state, attempt,
      queued_at, publish_at, started_at, finished_at)
    select 'fill.job' || n % :jobs, w, w + interval '5 minutes', to_char(w, 'YYYY-MM-DD"T"HH24:MI"Z"'), 'short', 'schedule',
      :state, 1, clock_timestamp(), case when :state = 'queued' then clock_timestamp() end, w,
      case when :state in ('done', 'dead') then w end
    from generate_series(1, :runs) n, lateral (select timestamptz '2001-01-01' + (n + :skip) * interval '5 minutes' as w)
""")


def fill(conn: Connection, *, state: str, runs: int, jobs: int, skip: int = 0) -> None:
    """Insert many runs of `fill.job0` … in windows of five minutes; the caller commits."""
    conn.execute(_FILL, {"state": state, "runs": runs, "jobs": jobs, "skip": skip})
