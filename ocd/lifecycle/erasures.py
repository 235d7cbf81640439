"""Requests to be forgotten: who asked, by when it must be done, and that it was done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.datasets.subjects import Kind, Subject
from ocd.ledger import incidents
from ocd.ledger.run import Run
from ocd.lifecycle import deadlines, restore
from ocd.lifecycle.deadlines import Clock, Warned

HOW_TO = "docs/how-to/answer-an-erasure-request.md"
_SHORTEN = statement(__file__, "shorten_late_backups.sql")
_ALL_DEADLINES = ("acknowledge", "erase")


@dataclass(frozen=True)
class Request:
    """An open request: number, clock, and what to erase."""

    number: int
    clock: Clock
    subjects: tuple[Subject, ...]


def add(
    conn: Connection,
    subjects: Iterable[Subject],
    *,
    proof: str,
    received_at: datetime,
    requested_by: str,
) -> Request:
    """Note a request; raises PolicyRefused where the proof does not suffice. The caller commits."""
    wanted = tuple(subjects)
    deadlines.require_proof(proof, wanted)
    clock = Clock.of(received_at)
    number: int = conn.execute(
        text("""
            insert into ocd.erasure_request (subjects, proof, received_at, acknowledge_by, due_at, requested_by)
            values (cast(:subjects as jsonb), :proof, :received_at, :acknowledge_by, :due_at, :requested_by)
            returning id
        """),
        {
            "subjects": _as_json(wanted),
            "proof": proof,
            "received_at": clock.received_at,
            "acknowledge_by": clock.acknowledge_by,
            "due_at": clock.due_at,
            "requested_by": requested_by,
        },
    ).scalar_one()
    return Request(number, clock, wanted)


def open_request(conn: Connection, number: int) -> Request:
    """Return an open request; raises ConfigError for one that is done, withdrawn or unknown."""
    row = conn.execute(
        text("""
            select received_at, acknowledge_by, due_at, subjects from ocd.erasure_request
            where id = :id and subjects is not null
        """),
        {"id": number},
    ).first()
    conn.rollback()
    if row is None:
        raise ConfigError(f"there is no open erasure {number}; see `ocd erase list`")
    subjects = tuple(Subject(Kind(one["kind"]), one["id"]) for one in row.subjects)
    return Request(number, Clock(row.received_at, row.acknowledge_by, row.due_at), subjects)


def widen(conn: Connection, number: int, subjects: Iterable[Subject]) -> None:
    """Note more subjects that were found to belong to the same person. The caller commits."""
    conn.execute(
        text("update ocd.erasure_request set subjects = cast(:subjects as jsonb) where id = :id"),
        {"id": number, "subjects": _as_json(subjects)},
    )


def _as_json(subjects: Iterable[Subject]) -> str:
    return json.dumps([{"kind": one.kind.value, "id": one.id} for one in subjects])


def acknowledge(conn: Connection, number: int, *, acknowledged_by: str) -> None:
    """Note that the person was told that the request came; raises ConfigError. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.erasure_request set acknowledged_at = clock_timestamp(), acknowledged_by = :by
            where id = :id and acknowledged_at is null and withdrawn_at is null
        """),
        {"id": number, "by": acknowledged_by},
    )
    if not done.rowcount:
        raise ConfigError(
            f"erasure {number} is acknowledged, withdrawn or unknown; `ocd erase list`"
        )
    incidents.close(conn, _cause(number, "acknowledge"))


def withdraw(conn: Connection, number: int) -> None:
    """Forget a request that the person took back; raises ConfigError once rows went. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.erasure_request r set withdrawn_at = clock_timestamp(), subjects = null
            where id = :id and subjects is not null
              and not exists (select from ocd.tombstone t where t.request_id = r.id)
        """),
        {"id": number},
    )
    if not done.rowcount:
        raise ConfigError(
            f"erasure {number} has begun, ended or is unknown: it cannot be taken back; `ocd erase list`"
        )
    for what in _ALL_DEADLINES:
        incidents.close(conn, _cause(number, what))


def requests(conn: Connection, *, with_ended: bool = False) -> list[dict[str, Any]]:
    """Return requests without whom they are about, the one that is due first at the top."""
    rows = conn.execute(
        text("""
            select id, proof, received_at, acknowledge_by, due_at, requested_by, acknowledged_at, acknowledged_by,
                   erased_at, gone_by, finished_at, withdrawn_at, run_id,
                   coalesce(jsonb_array_length(subjects), 0) as subjects
            from ocd.erasure_request where :all or subjects is not null order by subjects is null, due_at, id
        """),
        {"all": with_ended},
    )
    return [dict(row) for row in rows.mappings()]


@dataclass(frozen=True)
class WatchReport:
    """How the clocks of open requests stand; `shortened` are files of backups that now expire earlier."""

    version: ClassVar[int] = 2
    open: int
    warned: int
    over: int
    forgotten: int
    shortened: int

    @property
    def rows(self) -> int:
        """Open requests."""
        return self.open

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.open:
            return "no erasure is open"
        return f"{self.open} erasures are open: {self.warned} deadlines are near, {self.over} have passed"


def watch(conn: Connection, *, run: Run, now: datetime) -> WatchReport:
    """Open an incident for each deadline that comes near or has passed. Commits once.

    Also lets backups expire early that were at work during an erasure, and forgets old conditions.
    """
    warned: list[Warned] = []
    with run.batch(conn):
        rows = conn.execute(
            text("""
                select id, received_at, acknowledge_by, due_at, acknowledged_at from ocd.erasure_request
                where subjects is not null order by id
            """)
        ).all()
        for row in rows:
            clock = Clock(row.received_at, row.acknowledge_by, row.due_at)
            found = list(
                deadlines.warnings(
                    clock,
                    is_acknowledged=row.acknowledged_at is not None,
                    is_finished=False,
                    now=now,
                )
            )
            for one in found:
                _tell(conn, run, row.id, one)
            warned += found
        forgotten = restore.forget_old(conn, now=now)
        shortened = len(conn.execute(_SHORTEN).all())
    over = sum(one.is_over for one in warned)
    return WatchReport(len(rows), len(warned), over, forgotten, shortened)


def _tell(conn: Connection, run: Run, number: int, one: Warned) -> None:
    said = "was to be" if one.is_over else "is to be"
    deed = {"acknowledge": "acknowledged", "erase": "done"}[one.what]
    incidents.open_finding(
        conn,
        _cause(number, one.what),
        run_id=run.id,
        summary=f"erasure {number} {said} {deed} by {one.by:%Y-%m-%d %H:%M}Z; `ocd erase list`",
        how_to=HOW_TO,
    )


def close_incidents(conn: Connection, number: int) -> None:
    """Close what was told about a request's deadlines. The caller commits."""
    for what in _ALL_DEADLINES:
        incidents.close(conn, _cause(number, what))


def _cause(number: int, what: str) -> str:
    return f"erasure:{number}:{what}"
