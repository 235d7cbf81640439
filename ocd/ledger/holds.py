"""Legal holds: what must not be deleted until somebody releases it, whatever its age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError


@dataclass(frozen=True)
class Held:
    """What of one dataset is held: every row, or those of some conversations."""

    is_whole: bool = False
    conversations: tuple[str, ...] = ()


NOTHING = Held()


def held(conn: Connection, dataset: str) -> Held:
    """Return what is held of a dataset now."""
    found = conn.execute(
        text("""
            select conversation_id from ocd.legal_hold
            where dataset = :dataset and released_at is null order by conversation_id
        """),
        {"dataset": dataset},
    ).scalars()
    names = list(found)
    return Held(None in names, tuple(name for name in names if name is not None))


def place(
    conn: Connection, dataset: str, conversation_id: str | None, *, reason: str, placed_by: str
) -> int:
    """Hold a conversation's rows, or every row for None; returns the hold's id. The caller commits.

    An open hold of the same rows stays as it is, and its id is returned.
    """
    known = {"dataset": dataset, "conversation_id": conversation_id}
    conn.execute(
        text("""
            insert into ocd.legal_hold (dataset, conversation_id, reason, placed_by)
            values (:dataset, :conversation_id, :reason, :placed_by) on conflict do nothing
        """),
        known | {"reason": reason, "placed_by": placed_by},
    )
    new: int = conn.execute(
        text("""
            select id from ocd.legal_hold
            where dataset = :dataset and conversation_id is not distinct from :conversation_id and released_at is null
        """),
        known,
    ).scalar_one()
    return new


def release(conn: Connection, hold_id: int, *, released_by: str) -> None:
    """Let a hold go; raises ConfigError unless it is open. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.legal_hold set released_at = clock_timestamp(), released_by = :released_by
            where id = :id and released_at is null
        """),
        {"id": hold_id, "released_by": released_by},
    )
    if not done.rowcount:
        raise ConfigError(f"there is no open legal hold {hold_id}; see `ocd hold list`")


def holds(conn: Connection, *, with_released: bool = False) -> list[dict[str, Any]]:
    """Return holds, oldest first."""
    rows = conn.execute(
        text("select * from ocd.legal_hold where :all or released_at is null order by id"),
        {"all": with_released},
    )
    return [dict(row) for row in rows.mappings()]
