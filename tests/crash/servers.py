"""A PostgreSQL and a Redis of our own that a test may stop, kill, wipe and hold up."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from ocd.core import migrate
from ocd.core.cluster import database_url
from ocd.core.embedded import DATABASE, Postgres, Redis, make_private
from tests.crash import effects
from tests.crash.processes import until


class Servers:
    """Both servers of a home in a temporary folder, and a superuser's look into the database."""

    def __init__(self) -> None:
        # Whoever runs PostgreSQL has to pass through; the home itself is closed.
        self.base = Path(tempfile.mkdtemp(prefix="ocd-crash-"))
        self.base.chmod(0o711)
        self.home = self.base / ".ocd"
        self.postgres, self.redis = Postgres(self.home), Redis(self.home)
        self.database_url = self.redis_url = ""
        self._conn: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        """Start both servers and make the tables."""
        make_private(self.home)
        self.postgres.start()
        self.redis.start()
        migrate.upgrade(self.postgres.url("owner"))
        # Both stay the same over restarts, and are asked for while a server is away.
        self.database_url, self.redis_url = self.postgres.url("worker"), self.redis.url()
        self.run_sql(effects.TABLES)

    def close(self) -> None:
        """Stop both and remove the folder."""
        self._disconnect()
        self.redis.stop()
        self.postgres.stop()
        base = (self.home / "postgres").resolve()
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)

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

    def _disconnect(self) -> None:
        if self._conn is not None:
            with suppress(psycopg.Error):
                self._conn.close()
            self._conn = None

    def superuser_url(self) -> str:
        url = psycopg.conninfo.conninfo_to_dict(self.postgres.url("owner"))
        folder = Path(str(url["host"]))
        return database_url("postgres", self.postgres.password("postgres"), DATABASE, folder)

    def client(self) -> redis.Redis:
        """A client of the Redis server itself."""
        path = self.redis_url.removeprefix("redis+socket://").split("?")[0]
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
        # Log lines of the run, which refer to it, are not held up: only claims, batches and endings.
        conn.execute("select 1 from ocd.run where id = %s for no key update", (run_id,))
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


class Gate:
    """A place in a job where a worker waits for a test."""

    def __init__(self, servers: Servers, number: int, release: Callable[[], None]) -> None:
        self._servers, self._number, self._release = servers, number, release

    def count_visitors(self) -> int:
        """Return how many stand at the gate, those of dead workers among them."""
        return int(
            self._servers.value(
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
            lambda: (
                self.count_visitors() >= fence
                and self._servers.value("select fence from ocd.run where id = %s", run_id) == fence
            ),
            f"attempt {fence} of run {run_id} stands at gate {self._number}",
        )

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._release()
