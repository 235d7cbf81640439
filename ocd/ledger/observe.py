"""What operators ask of the ledger now: a few cheap statements, whatever its size, on the database's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from ocd.core.db import now_of
from ocd.core.sqlfiles import statement
from ocd.ledger import pauses
from ocd.ledger.states import State
from ocd.ledger.windows import Cadence

_COUNT = statement(__file__, "count_states.sql")
_GOOD = statement(__file__, "find_good_windows.sql")
_BAD_ENDS = statement(__file__, "list_bad_ends.sql")
_LEASES = statement(__file__, "list_leases.sql")

#: States that a person may have to do something about, beside the open ones.
BAD = (State.FAILED, State.REFUSED, State.DEAD)
OPEN = (State.WAITING, State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class Watched:
    """A job to look after, and what its schedule promises; no entry: nobody orders it by the clock.

    `entry` is what the schedule calls it, the job's own name or `flow.<name>`.
    """

    job: str
    entry: str | None
    cadence: Cadence
    deadline: timedelta


@dataclass(frozen=True)
class JobState:
    """How a job stands: its newest good window, and its real runs that are open, late or ended badly."""

    job: str
    good_window: str | None = None
    good_until: datetime | None = None
    runs: Mapping[State, int] = field(default_factory=dict)
    late: int = 0
    oldest_queued_at: datetime | None = None

    def count(self, state: State) -> int:
        """Return how many of its runs are in this state."""
        return self.runs.get(state, 0)


@dataclass(frozen=True)
class QueueState:
    """What waits for the workers of a queue, dry runs too."""

    queue: str
    queued: int
    oldest_at: datetime | None


@dataclass(frozen=True)
class Lease:
    """A run that is under way: who holds it until when, and how far it is."""

    run_id: int
    job: str
    window: str
    subject: Mapping[str, Any]
    worker: str | None
    started_at: datetime
    renewed_at: datetime
    until: datetime
    done: int | None
    total: int | None
    note: str | None


@dataclass(frozen=True)
class Snapshot:
    """The ledger at an instant of the database's clock."""

    at: datetime
    jobs: Mapping[str, JobState]
    queues: tuple[QueueState, ...]
    leases: tuple[Lease, ...]
    heard_at: Mapping[str, datetime]
    scheduled_since: Mapping[str, datetime]
    incidents: Mapping[tuple[str, str], int]
    open_backfills: int
    paused: frozenset[str]

    def age_s(self, instant: datetime) -> float:
        """Return the seconds since an instant; never less than none."""
        return max((self.at - instant).total_seconds(), 0.0)

    def is_paused(self, watched: Watched) -> bool:
        """Whether nothing orders this job for now: it, its flow or everything is paused."""
        names = [watched.job] if watched.entry is None else [watched.job, watched.entry]
        return any(pauses.is_paused(name, self.paused) for name in names)

    def is_overdue(self, watched: Watched) -> bool:
        """Whether a good window is missing that the schedule promised by now; not of what is paused.

        The newest window that is over is to be good `deadline` after its end; nothing was promised before
        the job was scheduled as it is now.
        """
        since = self.scheduled_since.get(watched.entry or "")
        if since is None or self.is_paused(watched):
            return False
        window = watched.cadence.last_closed(self.at)
        good_until = self.jobs[watched.job].good_until or since
        return self.at - max(good_until, since) > window.end - window.start + watched.deadline

    def total(self, state: State) -> int:
        """Return how many real runs are in this state."""
        return sum(job.count(state) for job in self.jobs.values())


def observe(conn: Connection, jobs: Iterable[str]) -> Snapshot:
    """Read how the ledger stands; `jobs` are those to tell of even if they never ran.

    A job that is no longer known is told of as long as it has open or bad runs.
    """
    at = now_of(conn)
    counts = conn.execute(_COUNT).all()
    known = sorted({*jobs, *(row.job for row in counts if row.kind == "real")})
    return Snapshot(
        at=at,
        jobs=_jobs(conn, known, counts),
        queues=_queues(counts),
        leases=tuple(_lease(row) for row in conn.execute(_LEASES)),
        heard_at=_instants(conn, "select name, beat_at from ocd.heartbeat"),
        scheduled_since=_instants(conn, "select name, since_at from ocd.schedule"),
        incidents=_incidents(conn),
        open_backfills=_open_backfills(conn),
        paused=pauses.paused_names(conn),
    )


def bad_ends(
    conn: Connection, states: Iterable[State] = BAD, *, job: str | None = None, limit: int = 50
) -> list[int]:
    """Return the ids of the real runs that ended in one of these bad states, the newest first."""
    rows = conn.execute(
        _BAD_ENDS, {"states": [state.value for state in states], "job": job, "limit": limit}
    )
    return [row.id for row in rows]


def _jobs(conn: Connection, known: list[str], counts: Iterable[Row[Any]]) -> Mapping[str, JobState]:
    good = {row.job: row for row in conn.execute(_GOOD, {"jobs": known})}
    real: dict[str, list[Row[Any]]] = {job: [] for job in known}
    for row in counts:
        if row.kind == "real":
            real[row.job].append(row)
    return {job: _job(job, good.get(job), rows) for job, rows in real.items()}


def _job(job: str, good: Row[Any] | None, rows: list[Row[Any]]) -> JobState:
    runs: Counter[State] = Counter()
    for row in rows:
        runs[State(row.state)] += row.runs
    return JobState(
        job=job,
        good_window=good.window_label if good else None,
        good_until=good.window_end if good else None,
        runs=runs,
        late=sum(row.late for row in rows),
        oldest_queued_at=_oldest(rows),
    )


def _queues(counts: Iterable[Row[Any]]) -> tuple[QueueState, ...]:
    queued: dict[str, list[Row[Any]]] = {}
    for row in counts:
        if row.state == State.QUEUED:
            queued.setdefault(row.queue, []).append(row)
    return tuple(
        QueueState(queue, sum(row.runs for row in rows), _oldest(rows))
        for queue, rows in sorted(queued.items())
    )


def _oldest(rows: Iterable[Row[Any]]) -> datetime | None:
    return min((row.oldest_queued_at for row in rows if row.oldest_queued_at), default=None)


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        run_id=row.id,
        job=row.job,
        window=row.window + (" (dry)" if row.kind == "dry" else ""),
        subject=row.subject,
        worker=row.worker,
        started_at=row.started_at,
        renewed_at=row.renewed_at,
        until=row.lease_until,
        done=row.progress_done,
        total=row.progress_total,
        note=row.progress_note,
    )


def _instants(conn: Connection, query: str) -> dict[str, datetime]:
    return {row[0]: row[1] for row in conn.execute(text(query))}


def _incidents(conn: Connection) -> dict[tuple[str, str], int]:
    rows = conn.execute(
        text("""
            select kind, severity, count(*) as incidents from ocd.incident where closed_at is null
            group by kind, severity
        """)
    )
    return {(row.kind, row.severity): row.incidents for row in rows}


def _open_backfills(conn: Connection) -> int:
    found: int = conn.execute(
        text("select count(*) from ocd.backfill where finished_at is null")
    ).scalar_one()
    return found
