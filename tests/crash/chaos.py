"""Everything at once, from a seed: workers, beats, Redis and PostgreSQL die while windows are worked off.

`python -m tests.crash.chaos --seed 1 --windows 200 --minutes 10` prints what it does, and at the end a
tally. Every window has to be done, every effect to be there once.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import click
import psycopg

from ocd.core.errors import OcdError
from tests.crash.processes import Process, until
from tests.crash.stack import Stack, running_stack

JOB = "chaos.window"
EFFECTS_A_WINDOW = 8 * 5
WORKERS, BEATS = 4, 2
SCHEDULE = {"CHAOS_SCHEDULE": JOB}
#: An operator's patience when the trouble is over.
SETTLE_S = 60.0


@dataclass
class Tally:
    """What was done to the stack, and what came of it."""

    troubles: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    taken_up: Counter[str] = field(default_factory=Counter)
    windows: int = 0
    gaps: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    leases_lost: int = 0
    expected: int = 0
    found: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0

    def __str__(self) -> str:
        def counted(counter: Counter[str]) -> str:
            return ", ".join(f"{name} {n}" for name, n in sorted(counter.items())) or "none"

        return "\n".join(
            [
                f"troubles        {sum(self.troubles.values())}: {counted(self.troubles)}",
                f"restarts        {self.restarts} processes, by their supervisor",
                f"windows         {self.windows} done, {self.gaps} missing in between, {self.stuck} stuck",
                f"attempts        {sum(self.attempts.values())}: {counted(self.attempts)}; {self.leases_lost} leases lost",
                f"taken up again  by an operator: {counted(self.taken_up)}",
                f"effects         {self.found} of {self.expected}: {self.lost} lost, {self.doubled} doubled",
            ]
        )

    @property
    def is_clean(self) -> bool:
        """Whether every window was done and every effect is there once."""
        return self.windows > 0 and not (self.gaps or self.stuck or self.lost or self.doubled)


class Chaos:
    """One seed's trouble for a stack."""

    def __init__(self, stack: Stack, seed: int, longest_s: float, say: Callable[[str], None]) -> None:  # fmt: skip
        self.stack, self.dice, self.longest_s = stack, random.Random(seed), longest_s
        self.tally = Tally()
        self._say = say
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._count = 0
        self.workers = [self._new_worker() for _ in range(WORKERS)]
        self.beats = [self._new_beat() for _ in range(BEATS)]
        self._troubles: dict[str, Callable[[], str]] = {
            "worker killed": self._kill_worker,
            "child killed": self._kill_child,
            "worker frozen": self._freeze_worker,
            "worker told to stop": self._drain_worker,
            "beat killed": self._kill_beat,
            "Redis wiped": self._wipe_redis,
            "Redis stopped": self._stop_redis,
            "Redis killed": self._kill_redis,
            "PostgreSQL restarted": self._restart_postgres,
        }

    def run(self, *, windows: int, seconds: float) -> Tally:
        """Make trouble for so long, of every kind, for so many windows; then calm down, mend and count."""
        deadline, deck = time.monotonic() + seconds, list[str]()
        while (
            time.monotonic() < deadline
            or len(self.tally.troubles) < len(self._troubles)
            or self._count_windows() < windows
        ):
            self._supervise()
            if not deck:
                deck = self.dice.sample(list(self._troubles), k=len(self._troubles))
            name = deck.pop()
            told = self._troubles[name]()
            self.tally.troubles[name] += 1
            self._say(f"{deadline - time.monotonic():6.1f} s left  {name} {told}")
            self._wait(self.dice.uniform(0.5, 2.5))
        self._settle()
        return self._counted()

    def _wait(self, seconds: float) -> None:
        """Let time pass; what was put off comes in its time."""
        until_at = time.monotonic() + seconds
        while time.monotonic() < until_at:
            for one in [one for one in self._later if one[0] <= time.monotonic()]:
                self._later.remove(one)
                one[1]()
            time.sleep(0.05)

    def _put_off(self, seconds: float, deed: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, deed))

    def _kill_worker(self) -> str:
        worker = self.dice.choice(self.workers)
        worker.kill()
        return worker.name

    def _kill_child(self) -> str:
        worker = self.dice.choice(self.workers)
        children = worker.children()
        if children:
            self.dice.choice(children).kill()
        return worker.name

    def _freeze_worker(self) -> str:
        worker, seconds = self.dice.choice(self.workers), self.dice.uniform(2.5, 5)
        worker.freeze()
        self._put_off(seconds, worker.thaw)
        return f"{worker.name} for {seconds:.1f} s"

    def _drain_worker(self) -> str:
        worker = self.dice.choice(self.workers)
        worker.terminate()
        return worker.name

    def _kill_beat(self) -> str:
        beat = self.dice.choice(self.beats)
        beat.kill()
        return beat.name

    def _wipe_redis(self) -> str:
        if self.stack.redis.pid() is None:
            return "while it is away"
        self.stack.wipe_redis()
        return ""

    def _stop_redis(self) -> str:
        self.stack.stop_redis()
        return self._redis_away()

    def _kill_redis(self) -> str:
        if self.stack.redis.pid() is not None:
            self.stack.kill_redis()
        return self._redis_away()

    def _redis_away(self) -> str:
        seconds = self.dice.uniform(1, self.longest_s)
        self._put_off(seconds, self.stack.redis.start)
        return f"for {seconds:.1f} s"

    def _restart_postgres(self) -> str:
        self.stack.restart_postgres()
        return ""

    def _supervise(self) -> None:
        """Start what died; a worker that a database being away kept from starting as well."""
        for processes, new in ((self.workers, self._new_worker), (self.beats, self._new_beat)):
            for place, process in enumerate(processes):
                if not process.is_alive():
                    processes[place] = new()
                    self.tally.restarts += 1

    def _new_worker(self) -> Process:
        self._count += 1
        return self.stack.worker(f"w{self._count}", children=2, is_awaited=False, **SCHEDULE)

    def _new_beat(self) -> Process:
        self._count += 1
        return self.stack.beat(f"beat{self._count}", schedule=JOB)

    def _settle(self) -> None:
        """End all trouble, let missed windows come, hold new ones back, take bad ends up again."""
        self._wait(max([at - time.monotonic() for at, _ in self._later], default=0) + 0.2)
        self.stack.redis.start()
        self._supervise()
        self._wait(6)
        self.stack.run_sql("insert into ocd.pause (name, reason, paused_by) values ('*', 'the end', 'chaos')")  # fmt: skip
        deadline = time.monotonic() + SETTLE_S
        while self._open_or_bad() and time.monotonic() < deadline:
            self._supervise()
            for run_id, state in self.stack.rows("select id, state from ocd.run where state in ('dead', 'failed')"):  # fmt: skip
                self.tally.taken_up[state] += 1
                self.stack.rerun(run_id)
            self._wait(0.5)

    def _open_or_bad(self) -> int:
        return int(self.stack.value("select count(*) from ocd.run where state <> 'done'"))

    def _count_windows(self) -> int:
        try:
            return int(self.stack.value("select count(*) from ocd.run where job = %s", JOB))
        except (psycopg.Error, OcdError):
            return 0

    def _counted(self) -> Tally:
        stack, tally = self.stack, self.tally
        tally.windows = stack.value("select count(*) from ocd.run where job = %s and state = 'done'", JOB)  # fmt: skip
        tally.stuck = self._open_or_bad()
        tally.gaps = stack.value(
            "select coalesce(extract(epoch from max(window_start) - min(window_start))::int / 2 + 1 - count(*), 0)"
            " from ocd.run where job = %s", JOB,
        )  # fmt: skip
        tally.attempts = Counter(dict(stack.rows("select coalesce(outcome, 'open'), count(*) from ocd.attempt group by 1")))  # fmt: skip
        tally.leases_lost = sum(one.count("lease_lost") for one in stack.processes)
        tally.expected = tally.windows * EFFECTS_A_WINDOW
        tally.found, distinct = stack.rows(
            "select count(*), count(distinct (window_start, batch, row)) from public.chaos_effect where job = %s", JOB,
        )[0]  # fmt: skip
        tally.lost, tally.doubled = tally.expected - distinct, tally.found - distinct
        return tally


def chaos(
    stack: Stack,
    *,
    seed: int,
    windows: int,
    seconds: float,
    longest_s: float = 20.0,
    say: Callable[[str], None] = lambda line: None,
) -> Tally:
    """Make trouble and return the tally; `longest_s` is how long Redis is away at most."""
    made = Chaos(stack, seed, longest_s, say)
    until(lambda: stack.value("select count(*) from ocd.run where state = 'done'"), "a first window is done")  # fmt: skip
    return made.run(windows=windows, seconds=seconds)


def main(arguments: list[str]) -> int:
    """Run it from a shell; 1 where an effect is lost or doubled, or a window stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args(arguments)
    with running_stack() as stack:
        tally = chaos(
            stack, seed=given.seed, windows=given.windows, seconds=given.minutes * 60, say=click.echo
        )  # fmt: skip
        if not tally.is_clean:
            click.echo(stack.told(), err=True)
    click.echo(f"seed            {given.seed}, {given.minutes:g} minutes\n{tally}")
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
