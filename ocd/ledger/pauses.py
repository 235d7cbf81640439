"""What beat and catch-up shall not order for now, who said so and why. Ordering by hand goes on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError

ALL = "*"


def pause(conn: Connection, name: str, *, reason: str, paused_by: str) -> None:
    """Pause a job, a flow (`flow.night`) or everything (`*`); pausing again changes the reason. Commits not."""
    if not reason.strip():
        raise ConfigError("--reason: say why, for whoever finds it paused")
    conn.execute(text("delete from ocd.pause where name = :name"), {"name": name})
    conn.execute(
        text("insert into ocd.pause (name, reason, paused_by) values (:name, :reason, :paused_by)"),
        {"name": name, "reason": reason.strip(), "paused_by": paused_by},
    )


def resume(conn: Connection, name: str | None) -> list[str]:
    """Resume one, or with None everything; returns the names. Raises ConfigError where nothing was paused."""
    done = conn.execute(
        text(
            "delete from ocd.pause where cast(:name as text) is null or name = :name returning name"
        ),
        {"name": name},
    )
    names = sorted(done.scalars())
    if name is not None and not names:
        raise ConfigError(f"{name} is not paused; see `ocd status`")
    return names


def pauses(conn: Connection) -> list[dict[str, Any]]:
    """Return what is paused: name, reason, paused_by, paused_at; oldest first."""
    rows = conn.execute(
        text("select name, reason, paused_by, paused_at from ocd.pause order by paused_at")
    )
    return [dict(row) for row in rows.mappings()]


def paused_names(conn: Connection) -> frozenset[str]:
    """Return the names of what is paused."""
    return frozenset(one["name"] for one in pauses(conn))


def is_paused(name: str, paused: frozenset[str]) -> bool:
    """Whether a job or flow is paused, by name or with everything else. Pure."""
    return name in paused or ALL in paused
