"""A12, as a drill: Redis goes away and comes back, and nobody helps; the canary has to be heard again.

`python -m tests.crash.drill --rounds 50 --seed 1` prints every round and the distribution of the times.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from tests.crash.processes import until
from tests.crash.stack import Stack, running_stack

#: The promise: a worker hears the canary again this long after Redis is back.
WITHIN_S = 30.0
CANARY = "select count(*) from ocd.heartbeat where name = 'canary' and beat_at > %s"


@dataclass(frozen=True)
class Round:
    """One absence of Redis: how it went, for how long, what the worker did, how long recovery took."""

    number: int
    how: str
    down_s: float
    is_busy: bool
    recovered_s: float
    done_s: float

    def __str__(self) -> str:
        work = "busy" if self.is_busy else "idle"
        return (
            f"round {self.number:3}  {self.how:7} {self.down_s:4.1f} s  {work}  canary after {self.recovered_s:5.2f} s,"
            f" all runs done after {self.done_s:5.2f} s"
        )


def drill(
    stack: Stack,
    *,
    rounds: int,
    seed: int,
    longest_s: float = 20.0,
    say: Callable[[Round], None] = lambda made: None,
) -> list[Round]:
    """Take Redis away `rounds` times, idle and busy in turn; fails where it takes longer than WITHIN_S."""
    dice = random.Random(seed)
    stack.worker(children=2)
    stack.beat()
    until(
        lambda: stack.value("select count(*) from ocd.heartbeat where name = 'canary'"),
        "the first canary",
    )
    made = []
    for number in range(1, rounds + 1):
        # Mostly short, now and then longer than every back-off of Celery grows.
        down_s = dice.choice(
            [dice.uniform(0.2, 3.0), dice.uniform(0.2, 3.0), dice.uniform(3.0, longest_s)]
        )
        how = dice.choice(["stopped", "killed"])
        made.append(_round(stack, number, how, down_s, is_busy=number % 2 == 0))
        say(made[-1])
    return made


def _round(stack: Stack, number: int, how: str, down_s: float, *, is_busy: bool) -> Round:
    if is_busy:
        for window in range(4):
            stack.start_run("chaos.batches", number * 10 + window, batches=10, rows=2, pause_s=0.2)
        until(
            lambda: stack.value("select count(*) from ocd.run where state = 'running'"),
            "a run is at work",
        )
    stack.stop_redis() if how == "stopped" else stack.kill_redis()
    time.sleep(down_s)
    stack.redis.start()
    back_at, started = stack.value("select clock_timestamp()"), time.monotonic()
    until(lambda: stack.value(CANARY, back_at), "the canary is heard again", WITHIN_S)
    recovered_s = time.monotonic() - started
    stack.wait_all_done()
    _check_effects(stack, number, is_busy)
    return Round(number, how, down_s, is_busy, recovered_s, time.monotonic() - started)


def _check_effects(stack: Stack, number: int, is_busy: bool) -> None:
    found = stack.value(
        "select count(*) from public.chaos_effect e join ocd.run r on r.id = e.run_id where r.window_start >= %s",
        stack.window(number * 10).start,
    )
    assert found == (4 * 10 * 2 if is_busy else 0), f"{found} effects in round {number}"


def told(rounds: list[Round]) -> str:
    """Return the distribution of the recovery times."""
    times = sorted(one.recovered_s for one in rounds)
    slow = times[max(0, int(len(times) * 0.95) - 1)]
    return (
        f"{len(times)} rounds: canary again after min {times[0]:.2f}, median {statistics.median(times):.2f},"
        f" p95 {slow:.2f}, max {times[-1]:.2f} s (promise: {WITHIN_S:.0f} s)"
    )


def main(arguments: list[str]) -> int:
    """Run the drill from a shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.drill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with running_stack() as stack:
        made = drill(stack, rounds=given.rounds, seed=given.seed, say=click.echo)
    click.echo(told(made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
