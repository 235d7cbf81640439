"""Jobs that exist only to be killed: batches, a mover, a suicide, ticks, an echo of its arguments."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

from ocd.core.errors import ContractBroken, SourceUnavailable
from ocd.ledger.policy import LAST, NONE, all_up_to
from ocd.ledger.windows import Every
from tasks.job import Door, job
from tests.crash import effects
from tests.crash.effects import Effects

SHORT = Every(timedelta(seconds=2), delay=timedelta(0))
HOURLY = Every(timedelta(hours=1), delay=timedelta(0))


@job(
    "chaos.batches",
    queue="short",
    effect="fenced",
    cadence=SHORT,
    can_backfill=True,
    catch_up=all_up_to(100),
)
def batches(
    door: Door, batches: int = 5, rows: int = 10, pause_s: float = 0.0, gates: str = ""
) -> Effects:
    """Write batches of rows, each once."""
    return effects.write(
        door.conn, run=door.run, batches=batches, rows=rows, pause_s=pause_s, gates=gates
    )


@job(
    "chaos.window",
    queue="short",
    effect="fenced",
    cadence=SHORT,
    can_backfill=True,
    catch_up=all_up_to(1000),
)
def window(door: Door, batches: int = 8, rows: int = 5, pause_s: float = 0.15) -> Effects:
    """Write batches of rows for every window of the schedule, slowly enough to be hit."""
    return effects.write(
        door.conn, run=door.run, batches=batches, rows=rows, pause_s=pause_s, gates=""
    )


@job("chaos.move", queue="short", effect="fenced", cadence=SHORT)
def move(door: Door, gates: str = "") -> Effects:
    """Move rows from one table to another, each once."""
    return effects.move(door.conn, run=door.run, gates=gates)


@job("chaos.suicide", queue="short", effect="fenced", cadence=SHORT)
def suicide(door: Door) -> Effects:
    """Kill the own process while the job is poisoned."""
    effects.started(door.conn, door.run)
    if effects.is_poisoned(door.conn, door.run.job):
        os.kill(os.getpid(), signal.SIGKILL)
    return Effects(0, 0)


@job("chaos.echo", queue="short", effect="fenced", cadence=SHORT)
def echo(
    door: Door, count: int = 1, is_loud: bool = False, ratio: float = 0.5, word: str = ""
) -> Effects:
    """Keep the arguments as they reached the body."""
    values = {"count": count, "is_loud": is_loud, "ratio": ratio, "word": word}
    return effects.remember(door.conn, run=door.run, values=values)


@job("chaos.leaky", queue="short", effect="fenced", cadence=SHORT)
def leaky(door: Door, customer: str = "", how: str = "fail") -> Effects:
    """Come upon a customer's row, and fail over it in the way that `how` names."""
    effects.remember(door.conn, run=door.run, values={"customer": customer})
    if how == "database":
        door.conn.exec_driver_sql("select cast(%(customer)s as integer)", {"customer": customer})
    if how == "foreign":
        raise ValueError(f"cannot read {customer}")
    if how == "away" and effects.is_poisoned(door.conn, door.run.job):
        raise SourceUnavailable("the source is away")
    if how == "contract":
        raise ContractBroken("column `customer` changed")
    return Effects(1, 0)


@job(
    "chaos.tick",
    queue="short",
    effect="idempotent",
    cadence=Every(timedelta(seconds=1), delay=timedelta(0)),
    can_backfill=True,
    catch_up=all_up_to(100),
)
def tick(door: Door) -> Effects:
    """Note the window."""
    return effects.write(door.conn, run=door.run, batches=1, rows=1, pause_s=0, gates="")


@job(
    "chaos.hourly_all",
    queue="short",
    effect="idempotent",
    cadence=HOURLY,
    can_backfill=True,
    catch_up=all_up_to(100),
)
def hourly_all(door: Door) -> Effects:
    """Note the window; every missed one is made up for."""
    return effects.write(door.conn, run=door.run, batches=1, rows=1, pause_s=0, gates="")


@job("chaos.hourly_last", queue="short", effect="idempotent", cadence=HOURLY, catch_up=LAST)
def hourly_last(door: Door) -> Effects:
    """Note the window; of the missed ones only the last is made up for."""
    return effects.write(door.conn, run=door.run, batches=1, rows=1, pause_s=0, gates="")


@job("chaos.hourly_none", queue="short", effect="idempotent", cadence=HOURLY, catch_up=NONE)
def hourly_none(door: Door) -> Effects:
    """Note the window; missed ones are not made up for."""
    return effects.write(door.conn, run=door.run, batches=1, rows=1, pause_s=0, gates="")
