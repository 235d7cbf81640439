"""A restore, an unpurge, an erasure to be killed: `python -m tests.crash.killed_return JOB URL FOLDER REQUEST`.

With UNTOLD as a fifth argument the process kills itself when all is done, but for saying so.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine, NullPool, create_engine, text

from ocd.core.cluster import scratch_postgres
from ocd.core.db import now_of, sqlalchemy_url
from ocd.core.store import FolderStore
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.ledger.windows import Daily
from ocd.lifecycle import copying, deadlines, erase, erasures, portions, restore
from ocd.lifecycle.restore import Wish
from tests.crash import killed_proof, kills
from tests.crash.killed_proof import KEYS
from tests.crash.kills import STARTED, Deed

ERASURE_KEY = "the-erasure-key-of-the-kill-drill-0123"
UNTOLD = "untold"
ROWS, CHUNK = 8_000, 1_000
_FILL = """
    insert into agent_queries (query, result, conversation_id, agent)
    select md5(i::text), jsonb_build_object('answer', repeat('x', 90), 'n', i), 'c' || mod(i, 50), 'ops'
    from generate_series(1, {rows}) i
"""


def _restore(engine: Engine, run: Run, store: FolderStore, request: int) -> Any:
    with engine.connect() as conn:
        return restore.restore(
            conn,
            request,
            run=run,
            store=store,
            keys=KEYS,
            key=ERASURE_KEY,
            kept_server=lambda name: name,
            scratch=scratch_postgres,
        )


def _unpurge(engine: Engine, run: Run, store: FolderStore, request: int) -> Any:
    with engine.connect() as conn:
        return restore.unpurge(conn, request, run=run, store=store, key=ERASURE_KEY)


def _erase(engine: Engine, run: Run, store: FolderStore, request: int) -> Any:
    with engine.connect() as conn:
        return erase.erase(
            conn,
            request,
            run=run,
            store=store,
            keeper=Keeper(store, run.id, run.now, timedelta(days=90)),
            keys=KEYS,
            key=ERASURE_KEY,
            now=run.now,
            erasers=(),
        )


DEEDS = {
    "lifecycle.restore": _restore,
    "lifecycle.unpurge": _unpurge,
    "lifecycle.erase": _erase,
}


def carry_out(job: str, engine: Engine, store: FolderStore, request: int, how: str = "") -> None:
    """Do what the run of that request is for, unless it is done."""

    def body(run: Run) -> Any:
        report = DEEDS[job](engine, run, store, request)
        if how == UNTOLD:
            os.kill(os.getpid(), signal.SIGKILL)
        return report

    order = enqueue.Order(
        job, Daily().parse("2026-11-23"), "restore", params={}, subject={"request": request}
    )
    kills.carry_out(engine, order, body)


class _Killed:
    """What the three have in common: rows that are gone from the table, and a copy that has them."""

    def __init__(self, job: str, url: str, folder: Path) -> None:
        self.job, self.url, self.folder = job, url, folder
        self.engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        self.store = FolderStore(folder)
        self._before: dict[int, str] = {}

    def prepare(self, number: int) -> list[str]:
        """Fill the table anew and take its rows away, or name whom to erase."""
        with self.engine.begin() as conn:
            conn.execute(text("truncate agent_queries"))
            conn.exec_driver_sql(_FILL.format(rows=ROWS))
        self._before = self._rows()
        if self.job == "lifecycle.restore":
            killed_proof.carry_out(
                "lifecycle.backup", self.engine, self.store, killed_proof.window(number)
            )
            request = self._wish(restore.BACKUP, portions.folders(self.store)[-1])
            with self.engine.begin() as conn:
                conn.execute(text("truncate agent_queries"))
        else:
            run = self._archive(keep=0 if self.job == "lifecycle.unpurge" else ROWS // 2)
            request = (
                self._wish(restore.PURGE, str(run))
                if self.job == "lifecycle.unpurge"
                else self._ask()
            )
        return ["tests.crash.killed_return", self.job, self.url, str(self.folder), str(request)]

    def _wish(self, source: str, name: str) -> int:
        with self.engine.begin() as conn:
            here = conn.execute(text("select current_database()")).scalar_one()
            return restore.wish(
                conn,
                Wish(source, name, "agent_queries", None, restore.LIVE, here),
                requested_by="drill",
            )

    def _ask(self) -> int:
        with self.engine.begin() as conn:
            return erasures.add(
                conn,
                deadlines.subjects_of(["conversation:c7"]),
                proof="email-and-order",
                received_at=now_of(conn),
                requested_by="drill",
            ).number

    def _archive(self, *, keep: int) -> int:
        """Move all rows but the newest `keep` into archives, as a purge does; returns its run."""
        with self.engine.begin() as conn:
            run: int = conn.execute(
                text("""
                    insert into ocd.run (job, state, finished_at, queue, trigger, subject, window_start, window_end, window_label)
                    select 'lifecycle.purge', 'done', now(), 'long', 'manual', jsonb_build_object('dataset', 'agent_queries', 'n', count(*)),
                           '2019-01-01', '2019-01-02', '2019-01-01' from ocd.run returning id
                """)
            ).scalar_one()
            now = now_of(conn)
            keys = sorted(self._before)[: ROWS - keep]
            for number, start in enumerate(range(0, len(keys), CHUNK), 1):
                self._archive_chunk(conn, run, number, keys[start : start + CHUNK], now)
        return run

    def _archive_chunk(self, conn: Any, run: int, number: int, keys: list[int], now: Any) -> None:
        query = copying.sql.SQL(
            "delete from agent_queries where id between {} and {} returning *"
        ).format(keys[0], keys[-1])
        name = f"archives/{AGENT_QUERIES.name}/2019-01-01/run-{run}-g1-f1-{number:06}.copy.zst"
        copied = copying.copy_out(
            copying.cursor_of(conn), query, self.store, name, level=copying.ARCHIVE_LEVEL
        )
        Keeper(self.store, run, now, timedelta(days=90)).index(
            conn, "lifecycle.purge", "archive", copied.stored
        )
        conn.execute(
            text("""
                insert into ocd.purge_chunk (run_id, generation, number, dataset, first_key, last_key, rows, archive,
                  stored_bytes, stored_sha256, raw_sha256)
                values (:run, 1, :number, 'agent_queries', :first, :last, :rows, :name, :size, :stored, :raw)
            """),
            {
                "run": run,
                "number": number,
                "first": keys[0],
                "last": keys[-1],
                "rows": copied.rows,
                "name": name,
                "size": copied.stored.size_bytes,
                "stored": copied.stored.sha256,
                "raw": copied.raw_sha256,
            },
        )

    def _rows(self) -> dict[int, str]:
        with self.engine.connect() as conn:
            found = conn.execute(text("select id, t::text from agent_queries t"))
            return {row[0]: row[1] for row in found}

    def check(self, number: int) -> None:
        """Fail unless every row is back as it was, or nothing of whom was erased is anywhere."""
        if self.job == "lifecycle.erase":
            self._check_erasure()
        else:
            assert self._rows() == self._before, f"round {number}: rows are not as they were"

    def _check_erasure(self) -> None:
        theirs = {key for key, row in self._before.items() if ",c7," in row}
        with self.engine.connect() as conn:
            archived = [
                line
                for one in portions.archives(conn, self.store, dataset="agent_queries")
                for line in b"".join(one.read()).splitlines()
            ]
            kept = {
                row.name
                for row in conn.execute(
                    text(
                        "select name from ocd.artifact where kind = 'archive' and removed_at is null"
                    )
                )
            }
            open_requests = erasures.requests(conn)
        keys = [
            int(line.split(b"\t", 1)[0])
            for line in archived
            if int(line.split(b"\t", 1)[0]) in self._before
        ]
        assert len(keys) == len(set(keys)), "a row is archived twice"
        assert set(keys) | set(self._rows()) == set(self._before) - theirs, "a row was lost"
        assert not any(b"\tc7\t" in line for line in archived), "a row of theirs is archived"
        assert {name for name in self.store.list("archives") if name.endswith(".zst")} == kept
        assert open_requests == []


@contextmanager
def _deed(job: str) -> Iterator[Deed]:
    with kills.server() as (url, folder):
        made = _Killed(job, url, folder)
        yield made
        made.engine.dispose()


def restore_deed() -> Any:
    """A restore to be killed."""
    return _deed("lifecycle.restore")


def unpurge_deed() -> Any:
    """An unpurge to be killed."""
    return _deed("lifecycle.unpurge")


def erase_deed() -> Any:
    """An erasure to be killed."""
    return _deed("lifecycle.erase")


def main(arguments: list[str]) -> None:
    """Carry one out, in a process that may be killed."""
    job, url, folder, request, *how = arguments
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect():
        click.echo(STARTED)
    sys.stdout.flush()
    carry_out(job, engine, FolderStore(Path(folder)), int(request), *how)


if __name__ == "__main__":
    main(sys.argv[1:])
