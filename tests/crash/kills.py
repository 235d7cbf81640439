"""SIGKILL at random points of a deed: nothing is lost, doubled or half-written, and the next try finishes.

`python -m tests.crash.kills --rounds 50 --seed 1 [--only purge]` prints every round. A deed is prepared,
carried out by a process of its own that is killed somewhere on its way, then carried out to its end.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click
from sqlalchemy import Engine

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.settings import PROJECT
from ocd.ledger import claims, enqueue
from ocd.ledger.claims import Ending
from ocd.ledger.evidence import Report, to_evidence
from ocd.ledger.run import Run
from ocd.ledger.states import State

STARTED = "started"
#: A killed process is followed at once.
LEASE_S = 0.3
#: Rounds before the first kill: the very first is slower than all that follow.
UNHURT = 2


class Deed(Protocol):
    """What is killed: a command that prints STARTED when the interesting part begins."""

    def prepare(self, number: int) -> list[str]:
        """Set round `number` up; returns the arguments of `python -m …` that carries it out."""
        ...

    def check(self, number: int) -> None:
        """Fail unless all of the round was done, once; called after the process that was not killed."""
        ...


@dataclass(frozen=True)
class Kill:
    """One round: when the process was killed, and whether it was still at work."""

    number: int
    after_s: float
    is_in_time: bool

    def __str__(self) -> str:
        word = "at work" if self.is_in_time else "already done"
        return f"round {self.number:3}  killed after {self.after_s * 1000:6.1f} ms, {word}"


def drill(
    deed: Deed, *, rounds: int, seed: int, say: Callable[[Kill], None] = lambda kill: None
) -> list[Kill]:
    """Kill it so many times; two unhurt rounds tell how long it takes. Fails where a check does."""
    dice = random.Random(seed)
    takes_s = min(_carry_out(deed.prepare(number), deed, number) for number in range(UNHURT))
    kills = []
    for number in range(UNHURT, UNHURT + rounds):
        command = deed.prepare(number)
        after_s = dice.uniform(0, takes_s)
        is_in_time = _kill(command, after_s)
        _carry_out(command, deed, number)
        kills.append(Kill(number, after_s, is_in_time))
        say(kills[-1])
    return kills


@contextmanager
def server() -> Iterator[tuple[str, Path]]:
    """Yield the URL of a migrated server and a folder, both for one drill."""
    with scratch_postgres() as url, tempfile.TemporaryDirectory(prefix="ocd-kills-") as folder:
        migrate.upgrade(url)
        yield url, Path(folder)


def carry_out(
    engine: Engine,
    order: enqueue.Order,
    body: Callable[[Run], Report],
    *,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Do what the ordered run is for, as a worker does, unless it is done; `begun` hears that it is claimed."""
    with engine.begin() as conn:
        placed = enqueue.add(conn, order, retry_ended=True)
    run = None
    while placed.what is not enqueue.What.DONE and run is None:
        run = claims.claim(engine, placed.run_id, job=order.job, worker="drill", lease_s=LEASE_S)
        if run is None:
            time.sleep(0.05)  # until the killed process's lease ends
    begun()
    if run is None:
        return
    with run.lease():
        report = run.settled or body(run)
    ending = Ending(State.DONE, "done", rows=report.rows, evidence=to_evidence(report))
    with engine.begin() as conn:
        claims.finish(conn, run, ending)


def _start(command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == STARTED
    return process


def _kill(command: list[str], after_s: float) -> bool:
    with _start(command) as process:
        time.sleep(after_s)
        is_at_work = process.poll() is None
        process.kill()
    return is_at_work


def run(command: list[str]) -> int:
    """Carry a command out and return how it ended."""
    with _start(command) as process:
        process.communicate(timeout=60)
    return process.returncode


def _carry_out(command: list[str], deed: Deed, number: int) -> float:
    with _start(command) as process:
        started = time.monotonic()
        process.communicate(timeout=60)
    assert process.returncode == 0, f"round {number}: the next try failed"
    took_s = time.monotonic() - started
    deed.check(number)
    return took_s


def _deeds() -> dict[str, Callable[[], AbstractContextManager[Deed]]]:
    from tests.crash import killed_proof, killed_purge, killed_return

    return {
        "purge": killed_purge.deed,
        "backup": killed_proof.backup_deed,
        "verify": killed_proof.verify_deed,
        "rotate": killed_proof.rotate_deed,
        "restore": killed_return.restore_deed,
        "unpurge": killed_return.unpurge_deed,
        "erase": killed_return.erase_deed,
    }


def main(arguments: list[str]) -> int:
    """Run the drill from a shell; 1 where it never hit a process at work."""
    deeds = _deeds()
    parser = argparse.ArgumentParser(prog="python -m tests.crash.kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="kills of each deed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(deeds))
    given = parser.parse_args(arguments)
    hits = list(_hits(deeds, given))
    return 0 if all(hits) else 1


def _hits(
    deeds: dict[str, Callable[[], AbstractContextManager[Deed]]], given: argparse.Namespace
) -> Iterator[int]:
    for name, open_deed in deeds.items():
        if given.only in {None, name}:
            with open_deed() as deed:
                kills = drill(deed, rounds=given.rounds, seed=given.seed, say=click.echo)
            hits = sum(kill.is_in_time for kill in kills)
            click.echo(
                f"{name}: {len(kills)} rounds, {hits} kills at work, nothing lost or doubled"
            )
            yield hits


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
