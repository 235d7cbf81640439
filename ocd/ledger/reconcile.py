"""Repair what the broker, a dead worker or a silent beat left behind: at worker start and every minute."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, Engine, text

from ocd.core.errors import SourceUnavailable
from ocd.core.sqlfiles import statement
from ocd.ledger import backfills, incidents
from ocd.ledger.states import MAX_ATTEMPTS, State

log = logging.getLogger(__name__)

_EXPIRED = statement(__file__, "sweep_expired.sql")
_DUE = statement(__file__, "queue_due.sql")
_LATE = statement(__file__, "mark_late.sql")
_UNSENT = statement(__file__, "take_unsent.sql")
_FORGET = statement(__file__, "forget_sent.sql")
_SILENT = statement(__file__, "list_silent.sql")

#: A message not picked up for this long may be lost with the broker.
STALE_S = 60.0
#: Rows that one statement takes of each kind; the next sweep takes the rest.
PAGE = 1000
#: A sweep sends page after page for this long at most: a broker that came back empty is soon full again.
SEND_FOR_S = 20.0
#: A beat or canary that was heard once and is silent for this long is an incident.
SILENT_S = 180.0


@dataclass(frozen=True)
class Sweep:
    """What one sweep did, by run ids."""

    reaped: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    due: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    let_go: tuple[int, ...] = ()
    sent: tuple[int, ...] = ()
    silent: tuple[str, ...] = field(default=())

    def counts(self) -> dict[str, int]:
        """Return how many of each."""
        return {name: len(ids) for name, ids in asdict(self).items()}


def sweep(
    engine: Engine,
    publish: Callable[[int], None],
    *,
    is_broker_new: bool = False,
    stale_s: float = STALE_S,
    silent_s: float = SILENT_S,
) -> Sweep:
    """Repair the ledger and send ready runs that have no message. Commits; safe to run twice at once.

    Leases that expired are reaped (a third crash is the run's death), runs whose hour has come are queued,
    overdue ones marked late, backfills let their next runs go, silence becomes an incident. `publish` sends
    the message of a run; when it raises SourceUnavailable the rest waits for the next sweep.
    `is_broker_new`: the broker came back empty, so whatever was sent is sent again.
    """
    with engine.begin() as conn:
        swept = conn.execute(_EXPIRED, {"max_attempts": MAX_ATTEMPTS}).all()
        dead = tuple(row.id for row in swept if row.state == State.DEAD)
        for run_id in dead:
            incidents.open_for_run(conn, run_id)
        due = tuple(conn.execute(_DUE, {"limit": PAGE}).scalars())
        late = conn.execute(_LATE, {"limit": PAGE}).all()
        for run in late:
            incidents.open_late(conn, run)
        silent = _note_silence(conn, silent_s)
        if is_broker_new:
            conn.execute(_FORGET, {"ids": None})
    let_go = _let_backfills_go(engine)
    found = Sweep(
        reaped=tuple(row.id for row in swept if row.state == State.QUEUED),
        dead=dead,
        due=due,
        late=tuple(run.id for run in late),
        let_go=let_go,
        sent=_send(engine, let_go, publish) + _send_again(engine, publish, stale_s),
        silent=silent,
    )
    heard(engine, "reconciler", found.counts())
    if found != Sweep():
        log.info("reconciled", extra={name: n for name, n in found.counts().items() if n})
    return found


def heard(engine: Engine, name: str, detail: dict[str, int] | None = None) -> None:
    """Leave the heartbeat of a housekeeper: one row each, on the database's clock. Commits."""
    with engine.begin() as conn:
        conn.execute(
            text("""
                insert into ocd.heartbeat (name, detail) values (:name, cast(:detail as jsonb))
                on conflict (name) do update set beat_at = clock_timestamp(), detail = excluded.detail
            """),
            {"name": name, "detail": json.dumps(detail or {})},
        )


def seconds_since_heard(conn: Connection, name: str) -> float | None:
    """Return the age of a housekeeper's heartbeat on the database's clock; None when it never beat."""
    age = conn.execute(
        text(
            "select extract(epoch from clock_timestamp() - beat_at) from ocd.heartbeat where name = :name"
        ),
        {"name": name},
    ).scalar()
    return None if age is None else float(age)


def _note_silence(conn: Connection, silent_s: float) -> tuple[str, ...]:
    silent = []
    for row in conn.execute(_SILENT, {"silent_s": silent_s}).all():
        if row.is_silent:
            incidents.open_silent(conn, row.name, since=row.beat_at)
            silent.append(row.name)
        else:
            incidents.close(conn, f"silent:{row.name}")
    return tuple(silent)


def _let_backfills_go(engine: Engine) -> tuple[int, ...]:
    """Do what a run's end does for its backfill, in case its worker died before it could."""
    with engine.connect() as conn:
        open_ids = backfills.open_ids(conn)
    ready: list[int] = []
    for backfill_id in open_ids:
        with engine.begin() as conn:
            ready += backfills.let_go(conn, backfill_id)
    return tuple(ready)


def _send_again(engine: Engine, publish: Callable[[int], None], stale_s: float) -> tuple[int, ...]:
    """Send what was never sent or may be lost, until there is no more, the broker is away, or time is up."""
    all_sent: list[int] = []
    started = time.monotonic()
    while time.monotonic() - started < SEND_FOR_S:
        with engine.begin() as conn:
            unsent = sorted(conn.execute(_UNSENT, {"stale_s": stale_s, "limit": PAGE}).scalars())
        sent = _send(engine, unsent, publish)
        all_sent += sent
        if len(sent) < PAGE:
            break
    return tuple(all_sent)


def _send(
    engine: Engine, run_ids: Iterable[int], publish: Callable[[int], None]
) -> tuple[int, ...]:
    ready, sent = list(run_ids), list[int]()
    for run_id in ready:
        try:
            publish(run_id)
        except SourceUnavailable:
            log.warning("broker_away", extra={"unsent": len(ready) - len(sent)})
            with engine.begin() as conn:
                conn.execute(_FORGET, {"ids": ready[len(sent) :]})
            break
        sent.append(run_id)
    return tuple(sent)
