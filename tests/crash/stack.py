"""The whole stack of a test: both servers, and any number of workers and beats on them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
import psycopg

from ocd.core.errors import OcdError
from ocd.core.settings import PROJECT
from tests.crash.ledger import Ledger
from tests.crash.processes import Process

QUICK = {
    "OCD_LEASE_S": "2",
    "OCD_SIGNING_KEY": "the-key-of-the-crash-drills-0123456789",
    "OCD_RECONCILE_S": "1",
    "OCD_CANARY_S": "1",
    "OCD_RETRY_BACKOFF_S": "1",
}
#: As much of each log as is shown when something went wrong.
LOG_TAIL = 9000
_EMPTIED = (
    "ocd.run, ocd.heartbeat, ocd.incident, ocd.schedule, ocd.backfill, ocd.pause, ocd.verification,"
    " public.chaos_source, public.chaos_effect, public.chaos_start, public.chaos_poison,"
    " public.agent_approvals, public.agent_feedback, public.agent_queries"
)


class Stack(Ledger):
    """PostgreSQL, Redis, workers and beats; `close` leaves nothing behind."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []

    def close(self) -> None:
        self.end_processes()
        super().close()

    def reset(self) -> None:
        """End every process, start what is down, forget every run, effect and message."""
        self.end_processes()
        self.start_answering()
        self.redis.start()
        self.client().flushall()
        self.run_sql(f"truncate {_EMPTIED} cascade")
        shutil.rmtree(self.home / "artifacts", ignore_errors=True)
        for path in [*self.base.glob("*.log"), *self.base.glob("*.schedule*")]:
            path.unlink()

    def worker(
        self,
        name: str = "w",
        *,
        children: int = 1,
        is_awaited: bool = True,
        clock_s: float = 0,
        **env: str,
    ) -> Process:
        """Start a worker; returns it when it is ready."""
        made = self._start(
            name,
            [
                *("worker", "-P", "prefork", "-c", str(children), "-n", f"{name}@%h", "-E"),
                *(
                    "-Q",
                    "short,long,io,ml,restore",
                    "--without-mingle",
                    "--without-gossip",
                    "-l",
                    "INFO",
                ),
            ],
            clock_s,
            env,
        )
        if is_awaited:
            made.wait_for(" ready.")
        return made

    def beat(
        self, name: str = "beat", *, clock_s: float = 0, schedule: str = "", **env: str
    ) -> Process:
        """Start a beat with a schedule file of its own."""
        file = self.base / f"{name}.schedule"
        return self._start(
            name,
            ["beat", "-s", str(file), "--pidfile=", "-l", "INFO"],
            clock_s,
            {"CHAOS_SCHEDULE": schedule} | env,
        )

    def flower(self, port: int, login: str) -> Process:
        """Start Flower on a port of this machine."""
        options = ["flower", "--address=127.0.0.1", f"--port={port}", f"--basic-auth={login}"]
        return self._start("flower", options, 0, {})

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of every process: nothing of ours that the test did not set."""
        names = ("HOME", "LANG", "TMPDIR")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        servers = {
            "OCD_DATABASE_URL": self.database_url,
            "OCD_REDIS_URL": self.redis_url,
        }
        paths = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "OCD_HOME": str(self.home)}
        return kept | paths | servers | QUICK | more

    def command(self, *arguments: str, **env: str) -> str:
        """Run `ocd …` that knows the test jobs; returns what it printed."""
        name = f"ocd-{len(self.processes)}"
        done = Process.start(
            name, ["tests.crash.command", *arguments], self.environment(**env), self.base
        )
        self.processes.append(done)
        done.wait(60)
        return done.said()

    def told(self) -> str:
        """Return the end of every process's log and the runs that are not done, to find out what went wrong."""
        logs = [f"== {one.name}\n{one.said()[-LOG_TAIL:]}" for one in self.processes]
        with suppress(psycopg.Error, OcdError):
            open_runs = self.rows(
                "select to_jsonb(r) from ocd.run r where state <> 'done' limit 20"
            )
            logs += [f"== {row[0]}" for row in open_runs]
        return "\n".join(logs)

    def end_processes(self) -> None:
        for process in self.processes:
            process.thaw()
            process.kill()
        self.processes.clear()

    def _start(
        self, name: str, arguments: list[str], clock_s: float, env: dict[str, str]
    ) -> Process:
        program = ["tests.crash.clock", str(clock_s)] if clock_s else ["celery"]
        made = Process.start(
            name,
            [*program, "-A", "tests.crash.app", *arguments],
            self.environment(**env),
            self.base,
        )
        self.processes.append(made)
        return made


@contextmanager
def running_stack() -> Iterator[Stack]:
    """A stack with both servers up, closed afterwards."""
    stack = Stack()
    try:
        stack.start()
        yield stack
    except BaseException:
        click.echo(stack.told(), err=True)
        raise
    finally:
        stack.close()
