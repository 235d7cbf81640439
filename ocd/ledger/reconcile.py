"""Repair what the broker or a dead worker left behind: at worker start and every minute."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, text

from ocd.core.errors import SourceUnavailable
from ocd.core.sqlfiles import statement
from ocd.ledger.states import MAX_ATTEMPTS, State

log = logging.getLogger(__name__)

_EXPIRED = statement(__file__, "sweep_expired.sql")
_UNPUBLISHED = statement(__file__, "take_unpublished.sql")

#: A message not picked up for this long may be lost with the broker.
STALE_S = 60.0
#: Runs published by one sweep; the next one takes the rest.
PUBLISH_LIMIT = 1000


@dataclass(frozen=True)
class Sweep:
    """What one sweep did."""

    reaped: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    published: tuple[int, ...] = ()


def sweep(engine: Engine, publish: Callable[[int], None], *, stale_s: float = STALE_S) -> Sweep:
    """Reap expired leases and publish ready runs without a message. Commits; safe to run twice at once.

    `publish` sends the message of a run; when it raises SourceUnavailable the rest waits for the next sweep.
    """
    with engine.begin() as conn:
        swept = conn.execute(_EXPIRED, {"max_attempts": MAX_ATTEMPTS}).all()
    with engine.begin() as conn:
        ready = list(
            conn.execute(_UNPUBLISHED, {"stale_s": stale_s, "limit": PUBLISH_LIMIT}).scalars()
        )
    published = _publish_all(engine, sorted(ready), publish)
    found = Sweep(
        reaped=tuple(row.id for row in swept if row.state == State.QUEUED),
        dead=tuple(row.id for row in swept if row.state == State.DEAD),
        published=published,
    )
    _beat(engine, found)
    if found != Sweep():
        log.info(
            "reconciled",
            extra={
                "reaped": len(found.reaped),
                "dead": len(found.dead),
                "published": len(published),
            },
        )
    return found


def _publish_all(
    engine: Engine, ready: list[int], publish: Callable[[int], None]
) -> tuple[int, ...]:
    sent: list[int] = []
    for run_id in ready:
        try:
            publish(run_id)
        except SourceUnavailable:
            log.warning("broker_away", extra={"unpublished": len(ready) - len(sent)})
            _unmark(engine, ready[len(sent) :])
            break
        sent.append(run_id)
    return tuple(sent)


def _unmark(engine: Engine, run_ids: list[int]) -> None:
    with engine.begin() as conn:
        conn.execute(
            text(
                "update ocd.run set published_at = null where id = any(:ids) and state = 'queued'"
            ),
            {"ids": run_ids},
        )


def _beat(engine: Engine, found: Sweep) -> None:
    detail = {
        "reaped": len(found.reaped),
        "dead": len(found.dead),
        "published": len(found.published),
    }
    with engine.begin() as conn:
        conn.execute(
            text("""
                insert into ocd.heartbeat (name, detail) values ('reconciler', cast(:detail as jsonb))
                on conflict (name) do update set beat_at = clock_timestamp(), detail = excluded.detail
            """),
            {"detail": json.dumps(detail)},
        )
