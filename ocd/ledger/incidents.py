"""What is wrong, once per cause: opened by a bad end, a missed deadline or silence, closed by recovery."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement

_OPEN = statement(__file__, "open_incident.sql")
_LIST = statement(__file__, "list_incidents.sql")
_UNTOLD = statement(__file__, "take_unnotified.sql")

#: Whoever cannot be told in this many tries (a try a minute) is not told; `ocd incidents` still is.
NOTIFY_ATTEMPTS = 10

#: The page that helps, per error class, else per kind of incident; a test holds that each exists.
HOW_TO = {
    "ApprovalNeeded": "docs/how-to/approve-a-run.md",
    "BackupMissing": "docs/how-to/verify-a-backup.md",
    "ConfigError": "docs/how-to/find-out-why-a-run-failed.md",
    "ContractBroken": "docs/how-to/find-out-why-a-run-failed.md",
    "QuotaExhausted": "docs/how-to/refresh-ga.md",
    "SchemaMismatch": "docs/how-to/connect-supabase.md",
    "WorkerLost": "docs/how-to/replay-dead-runs.md",
    "failed": "docs/how-to/find-out-why-a-run-failed.md",
    "refused": "docs/how-to/find-out-why-a-run-failed.md",
    "dead": "docs/how-to/replay-dead-runs.md",
    "late": "docs/how-to/catch-up-late-windows.md",
    "silent": "docs/how-to/revive-beat-and-workers.md",
    "finding": "docs/how-to/audit-the-database.md",
}
SEVERITY = {
    "failed": "error",
    "refused": "warning",
    "dead": "error",
    "late": "error",
    "silent": "critical",
    "finding": "error",
}


def open_for_run(conn: Connection, run_id: int) -> bool:
    """Open the incident of a run that ended badly; returns whether it is new. The caller commits.

    The cause is job, subject and error class: the next night that fails the same way adds to it.
    """
    run = conn.execute(
        text("""
            select id, job, subject, state, error_class, error_message, window_label, window_end from ocd.run
            where id = :id and kind = 'real'
        """),
        {"id": run_id},
    ).first()
    if run is None:
        return False
    return _open(
        conn,
        kind=run.state,
        cause=f"{run.state}:{run.job}:{_text(run.subject)}:{run.error_class}",
        run=run,
        error_class=run.error_class,
        summary=f"{run.job} {run.window_label} {run.state}: {run.error_class}: {run.error_message}",
    )


def open_late(conn: Connection, run: Any) -> bool:
    """Open the incident of a run that is not done at its deadline; returns whether it is new."""
    return _open(
        conn,
        kind="late",
        cause=f"late:{run.job}:{_text(run.subject)}",
        run=run,
        error_class=None,
        summary=f"{run.job} {run.window_label} is {run.state} and was due by {run.deadline_at:%Y-%m-%d %H:%M}Z",
    )


def open_silent(conn: Connection, name: str, *, since: datetime) -> bool:
    """Open the incident of a housekeeper that is not heard any more; returns whether it is new."""
    row = conn.execute(
        _OPEN,
        {
            "cause": f"silent:{name}",
            "kind": "silent",
            "severity": SEVERITY["silent"],
            "job": None,
            "subject": "{}",
            "window_end": None,
            "run_id": None,
            "error_class": None,
            "summary": f"the {name} was last heard at {since:%Y-%m-%d %H:%M:%S}Z",
            "how_to": HOW_TO["silent"],
        },
    ).one()
    return bool(row.is_new)


def open_finding(
    conn: Connection,
    cause: str,
    *,
    run_id: int,
    summary: str,
    severity: str = SEVERITY["finding"],
    how_to: str = HOW_TO["finding"],
) -> bool:
    """Open the incident of something that a look found wrong; returns whether it is new. The caller commits.

    It names no job, so no run closes it: who looks again and finds it gone calls `close`.
    """
    row = conn.execute(
        _OPEN,
        {
            "cause": cause,
            "kind": "finding",
            "severity": severity,
            "job": None,
            "subject": "{}",
            "window_end": None,
            "run_id": run_id,
            "error_class": None,
            "summary": summary,
            "how_to": how_to,
        },
    ).one()
    return bool(row.is_new)


def close(conn: Connection, cause: str) -> bool:
    """Close the open incident of a cause; returns whether there was one. The caller commits."""
    done = conn.execute(
        text(
            "update ocd.incident set closed_at = clock_timestamp() where cause = :cause and closed_at is null"
        ),
        {"cause": cause},
    )
    return bool(done.rowcount)


def close_all(conn: Connection, causes: Iterable[str]) -> int:
    """Close the open incidents of these causes; returns how many there were. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.incident set closed_at = clock_timestamp()
            where cause = any (:causes) and closed_at is null
        """),
        {"causes": list(causes)},
    )
    return done.rowcount


def open_causes(conn: Connection, prefix: str) -> list[str]:
    """Return the causes of open incidents that begin so."""
    found = conn.execute(
        text(
            "select cause from ocd.incident where closed_at is null and starts_with(cause, :prefix)"
        ),
        {"prefix": prefix},
    )
    return list(found.scalars())


def close_by_hand(conn: Connection, incident_id: int) -> None:
    """Close an incident that nothing will recover (its job is gone); raises ConfigError unless it is open."""
    done = conn.execute(
        text(
            "update ocd.incident set closed_at = clock_timestamp() where id = :id and closed_at is null"
        ),
        {"id": incident_id},
    )
    if not done.rowcount:
        raise ConfigError(f"there is no open incident {incident_id}; see `ocd incidents`")


def incidents(
    conn: Connection, *, with_closed: bool = False, job: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return incidents, open ones first, then newest first."""
    rows = conn.execute(_LIST, {"with_closed": with_closed, "job": job, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def take_untold(conn: Connection) -> list[dict[str, Any]]:
    """Take the incidents that people are to be told of now; the caller commits, tells, and may `untell`."""
    rows = conn.execute(_UNTOLD, {"max_attempts": NOTIFY_ATTEMPTS})
    return [dict(row) for row in rows.mappings()]


def untell(conn: Connection, incident: dict[str, Any]) -> None:
    """Note that nobody took the news, so that the next sweep tries again. The caller commits."""
    column = "notified_at" if incident["event"] == "opened" else "closing_notified_at"
    statements = {
        "notified_at": "update ocd.incident set notified_at = null, closing_notified_at = null where id = :id",
        "closing_notified_at": "update ocd.incident set closing_notified_at = null where id = :id",
    }
    conn.execute(text(statements[column]), {"id": incident["id"]})


def _open(
    conn: Connection, *, kind: str, cause: str, run: Any, error_class: str | None, summary: str
) -> bool:
    row = conn.execute(
        _OPEN,
        {
            "cause": cause,
            "kind": kind,
            "severity": SEVERITY[kind],
            "job": run.job,
            "subject": _text(run.subject),
            "window_end": run.window_end,
            "run_id": run.id,
            "error_class": error_class,
            "summary": summary,
            "how_to": HOW_TO.get(error_class or "", HOW_TO[kind]),
        },
    ).one()
    return bool(row.is_new)


def _text(subject: dict[str, Any]) -> str:
    return json.dumps(subject, sort_keys=True, separators=(",", ":"))
