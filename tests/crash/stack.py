"""Servers of our own that a test may stop, kill and wipe, with any number of workers and beats on them."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psutil
import psycopg
import redis
from celery import Celery
from sqlalchemy import Engine, NullPool, create_engine

from ocd.core import migrate
from ocd.core.cluster import database_url
from ocd.core.db import sqlalchemy_url
from ocd.core.embedded import DATABASE, Postgres, Redis, make_private
from ocd.core.errors import OcdError
from ocd.core.settings import PROJECT
from ocd.ledger import enqueue
from ocd.ledger.windows import Every, Window
from tests.crash import effects
from tests.crash.processes import Process, until

#: Windows of the test jobs; any instant of the past does.
CADENCE = Every(timedelta(seconds=2), delay=timedelta(0))
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = {
    "OCD_LEASE_S": "2",
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


class Stack:
    """PostgreSQL, Redis, workers and beats; `close` leaves nothing behind."""

    def __init__(self) -> None:
        # Whoever runs PostgreSQL has to pass through; the home itself is closed.
        self.base = Path(tempfile.mkdtemp(prefix="ocd-crash-"))
        self.base.chmod(0o711)
        self.home = self.base / ".ocd"
        self.postgres, self.redis = Postgres(self.home), Redis(self.home)
        self.processes: list[Process] = []
        self._conn: psycopg.Connection[Any] | None = None
        self._count = 0
        self._sender: Celery | None = None

    def start(self) -> None:
        """Start both servers and make the tables."""
        make_private(self.home)
        self.postgres.start()
        self.redis.start()
        migrate.upgrade(self.postgres.url("owner"))
        self._sender = Celery("sender", broker=self.redis.url(), set_as_current=False)
        self._sender.conf.broker_transport_options = {"global_keyprefix": "ocd:"}
        self._sender.conf.task_default_queue = "short"
        with psycopg.connect(self.superuser_url(), autocommit=True) as conn:
            conn.execute(effects.TABLES)

    def close(self) -> None:
        self.end_processes()
        if self._sender is not None:
            self._sender.close()
        self._disconnect()
        self.redis.stop()
        self.postgres.stop()
        base = (self.home / "postgres").resolve()
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)

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

    # Servers

    def superuser_url(self) -> str:
        url = psycopg.conninfo.conninfo_to_dict(self.postgres.url("owner"))
        folder = Path(str(url["host"]))
        return database_url("postgres", self.postgres.password("postgres"), DATABASE, folder)

    def client(self) -> redis.Redis:
        """A client of the Redis server itself."""
        path = self.redis.url().removeprefix("redis+socket://").split("?")[0]
        return redis.Redis(unix_socket_path=path)

    def wipe_redis(self) -> None:
        """Delete every key while everybody is connected."""
        self.client().flushall()

    def stop_redis(self, *, with_files: bool = False) -> None:
        self.redis.stop()
        if with_files:
            for path in (self.home / "redis").glob("*.aof"):
                path.unlink()

    def kill_redis(self) -> None:
        pid = self.redis.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.redis.pid() is None, "Redis is gone")

    def stop_postgres(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is what a power cut leaves."""
        self._disconnect()
        self.postgres._cluster().stop(mode)

    def restart_postgres(self, mode: str = "immediate") -> None:
        self.stop_postgres(mode)
        self.postgres.start()

    def hold_answers(self) -> None:
        """Let commits reach the disk and leave them unanswered: a standby that is not there has to agree."""
        self.run_sql("alter system set synchronous_standby_names = 'nobody'")
        self.run_sql("select pg_reload_conf()")
        threading.Thread(target=self._commit_until_held, daemon=True).start()
        until(
            lambda: self.value(
                "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'probe'"
            ),
            "commits are left unanswered",
        )

    def _commit_until_held(self) -> None:
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(
                self.superuser_url(), autocommit=True, application_name="probe"
            ) as conn,
        ):
            while True:
                conn.execute("select pg_logical_emit_message(true, 'probe', '')")
                time.sleep(0.01)

    def count_unanswered(self) -> int:
        return int(
            self.value(
                "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and application_name like 'ocd:%%'"
            )
        )

    def start_answering(self) -> None:
        """Start PostgreSQL, answering again."""
        (self.postgres._cluster().data / "postgresql.auto.conf").write_text("")
        self.postgres.start()

    # Processes

    def worker(
        self,
        name: str = "w",
        *,
        children: int = 1,
        is_awaited: bool = True,
        clock_s: float = 0,
        app: str = "tests.crash.app",
        **env: str,
    ) -> Process:
        """Start a worker; returns it when it is ready."""
        made = self._start(
            name,
            [
                "worker",
                "-P",
                "prefork",
                "-c",
                str(children),
                "-Q",
                "short,long,io,ml",
                "-E",
                "-n",
                f"{name}@%h",
                "--without-mingle",
                "--without-gossip",
                "-l",
                "INFO",
            ],
            app,
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
            "tests.crash.app",
            clock_s,
            {"CHAOS_SCHEDULE": schedule} | env,
        )

    def flower(self, port: int, login: str) -> Process:
        """Start Flower on a port of this machine."""
        options = ["flower", "--address=127.0.0.1", f"--port={port}", f"--basic-auth={login}"]
        return self._start("flower", options, "tests.crash.app", 0, {})

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of every process: nothing of ours that the test did not set."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        servers = {
            "OCD_DATABASE_URL": self.postgres.url("worker"),
            "OCD_REDIS_URL": self.redis.url(),
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
        self, name: str, arguments: list[str], app: str, clock_s: float, env: dict[str, str]
    ) -> Process:
        program = ["tests.crash.clock", str(clock_s)] if clock_s else ["celery"]
        made = Process.start(
            name, [*program, "-A", app, *arguments], self.environment(**env), self.base
        )
        self.processes.append(made)
        return made

    # The ledger

    def window(self, number: int) -> Window:
        """Return the test window of a number."""
        return CADENCE.containing(FIRST + number * CADENCE.length)

    def order(
        self, job: str, window: int = 0, *, subject: dict[str, Any] | None = None, **params: Any
    ) -> int:
        """Put a run of the test window of that number into the ledger as queued and sent; sends nothing."""
        order = enqueue.Order(
            job, self.window(window), "short", params=params, subject=subject or {}
        )
        with self._worker_engine().begin() as conn:
            return enqueue.add(conn, order).run_id

    def _worker_engine(self) -> Engine:
        return create_engine(sqlalchemy_url(self.postgres.url("worker")), poolclass=NullPool)

    def order_night(self, job: str, window: Window, **params: Any) -> int:
        """Order a job of the night, or take its run up again; sends nothing."""
        order = enqueue.Order(job, window, "long", params=params, subject=params)
        with self._worker_engine().begin() as conn:
            return enqueue.add(conn, order, retry_ended=True, force=True).run_id

    def wait_for_end(self, run_id: int, timeout_s: float = 40.0) -> None:
        until(
            lambda: self.value("select finished_at is not null from ocd.run where id = %s", run_id),
            f"run {run_id} ends",
            timeout_s,
        )

    def send(self, job: str, *arguments: Any, **keywords: Any) -> None:
        """Send a message as anybody with access to Redis could."""
        assert self._sender is not None
        self._sender.send_task(job, args=arguments, kwargs=keywords, queue="short")

    def start_run(self, job: str, window: int = 0, **params: Any) -> int:
        """Order a run and send its message."""
        run_id = self.order(job, window, **params)
        self.send(job, run_id)
        return run_id

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """Return what a query of the superuser gives, over a server's restart too."""
        for is_last in (False, True):
            try:
                if self._conn is None:
                    self._conn = psycopg.connect(self.superuser_url(), autocommit=True)
                return self._conn.execute(statement, values).fetchall()
            except psycopg.OperationalError:
                self._disconnect()
                if is_last:
                    raise
        raise AssertionError

    def run_sql(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.superuser_url(), autocommit=True) as conn:
            conn.execute(statement, values)

    def value(self, statement: str, *values: Any) -> Any:
        return self.rows(statement, *values)[0][0]

    def run(self, run_id: int) -> dict[str, Any]:
        """Return the ledger's row of a run, as columns."""
        (found,) = self.rows("select to_jsonb(r) from ocd.run r where id = %s", run_id)
        return dict(found[0])

    def state(self, run_id: int) -> str:
        return str(self.value("select state from ocd.run where id = %s", run_id))

    def outcomes(self, run_id: int) -> list[str | None]:
        """Return how each attempt ended, oldest first; None for one that has not."""
        found = self.rows(
            "select outcome from ocd.attempt where run_id = %s order by fence", run_id
        )
        return [row[0] for row in found]

    def wait_for_state(self, run_id: int, state: str, timeout_s: float = 20.0) -> None:
        until(
            lambda: self.state(run_id) == state,
            f"run {run_id} is {state}; it is {self.state(run_id)}",
            timeout_s,
        )

    def wait_all_done(self, timeout_s: float = 30.0) -> None:
        until(
            lambda: not self.value("select count(*) from ocd.run where state <> 'done'"),
            "every run is done",
            timeout_s,
        )

    def effects(self, run_id: int) -> list[tuple[int, int, int]]:
        """Return every effect of a run: batch, row, fence, in order."""
        return [
            tuple(row)
            for row in self.rows(
                "select batch, row, fence from public.chaos_effect where run_id = %s order by 1, 2, 3",
                run_id,
            )
        ]

    def process_of(self, run_id: int) -> psutil.Process:
        """Return the pool process that works on a run."""
        return psutil.Process(int(self.run(run_id)["worker"].rpartition(":")[2]))

    # Gates

    @contextmanager
    def gate(self, number: int) -> Iterator[Gate]:
        """Hold a gate of the test jobs closed."""
        conn = psycopg.connect(self.superuser_url(), autocommit=True)
        conn.execute("select pg_advisory_lock(%s, %s)", (effects.GATES, number))
        made = Gate(self, number, conn.close)
        try:
            yield made
        finally:
            made.open()

    @contextmanager
    def locked_run(self, run_id: int) -> Iterator[Callable[[], int]]:
        """Hold a run's row locked; the yielded function tells how many wait for a lock."""
        conn = psycopg.connect(self.superuser_url())
        conn.execute("select 1 from ocd.run where id = %s for update", (run_id,))
        try:
            yield self._count_waiting
        finally:
            conn.close()

    def _count_waiting(self) -> int:
        return int(
            self.value(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and wait_event <> 'advisory'"
                " and application_name like 'ocd:%%'"
            )
        )

    def _disconnect(self) -> None:
        if self._conn is not None:
            with suppress(psycopg.Error):
                self._conn.close()
            self._conn = None


class Gate:
    """A place in a job where a worker waits for a test."""

    def __init__(self, stack: Stack, number: int, release: Callable[[], None]) -> None:
        self._stack, self._number, self._release = stack, number, release

    def count_visitors(self) -> int:
        """Return how many stand at the gate, those of dead workers among them."""
        return int(
            self._stack.value(
                "select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = %s::int::oid",
                self._number,
            )
        )

    def wait_for_visitor(self, timeout_s: float = 20.0) -> None:
        """Wait until a worker stands at the gate."""
        until(self.count_visitors, f"a worker stands at gate {self._number}", timeout_s)

    def wait_for_visitor_of(self, run_id: int, fence: int) -> None:
        """Wait until the attempt with this fence stands at the gate, beside those before it."""
        until(
            lambda: self.count_visitors() >= fence and self._stack.run(run_id)["fence"] == fence,
            f"attempt {fence} of run {run_id} stands at gate {self._number}",
        )

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._release()


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
