"""A backup, a verification, a rotation to be killed: `python -m tests.crash.killed_proof DEED URL FOLDER WINDOW`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from sqlalchemy import Engine, NullPool, create_engine, text

from ocd.core.cluster import scratch_postgres
from ocd.core.db import now_of, sqlalchemy_url
from ocd.core.signing import SigningKeys
from ocd.core.store import FolderStore
from ocd.datasets.registry import DATASETS
from ocd.ledger import enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.ledger.windows import Daily
from ocd.lifecycle import manifest
from ocd.lifecycle.backup import backup
from ocd.lifecycle.rotate import Rotation, rotate
from ocd.lifecycle.rotation_policy import Keep
from ocd.lifecycle.verify import verify
from tests.crash import kills
from tests.crash.kills import STARTED, Deed

KEYS = SigningKeys(("the-key-of-the-kill-drill-0123456789",))
BACKED_UP = sum(dataset.is_backed_up for dataset in DATASETS)
FILES = 60
_FILL = """
    insert into agent_queries (query, result, conversation_id, agent)
    select md5(i::text), jsonb_build_object('answer', repeat('x', 90), 'n', i), 'c' || i % 50, 'ops'
    from generate_series(1, 30000) i
"""


def window(number: int) -> str:
    """Return the window of a round; no two share one."""
    return f"{datetime(2020, 1, 1) + timedelta(days=number):%Y-%m-%d}"


def _keeper(store: FolderStore, run: Run) -> Keeper:
    return Keeper(store, run.id, run.now, timedelta(days=90))


def _back_up(engine: Engine, run: Run, store: FolderStore) -> Any:
    with engine.connect() as conn:
        return backup(conn, run=run, store=store, keeper=_keeper(store, run), keys=KEYS)


def _verify(engine: Engine, run: Run, store: FolderStore) -> Any:
    with engine.connect() as conn:
        return verify(
            conn,
            run=run,
            store=store,
            keeper=_keeper(store, run),
            keys=KEYS,
            scratch=scratch_postgres,
        )


def _rotate(engine: Engine, run: Run, store: FolderStore) -> Any:
    with engine.connect() as conn:
        return rotate(
            conn,
            run=run,
            store=store,
            rotation=Rotation(Keep(1000, 0, 0, 0), timedelta(days=7)),
            now=run.now,
        )


DEEDS: dict[str, Callable[[Engine, Run, FolderStore], Any]] = {
    "lifecycle.backup": _back_up,
    "lifecycle.verify": _verify,
    "lifecycle.rotate": _rotate,
}


def carry_out(job: str, engine: Engine, store: FolderStore, label: str) -> None:
    """Do what the run of that window is for, unless it is done."""
    order = enqueue.Order(job, Daily().parse(label), "long", params={}, subject={})
    kills.carry_out(engine, order, lambda run: DEEDS[job](engine, run, store))


class _Killed:
    """What the three have in common: a database, a folder, a window a round."""

    def __init__(self, job: str, url: str, folder: Path) -> None:
        self.job, self.url, self.folder = job, url, folder
        self.engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        self.store = FolderStore(folder)

    def prepare(self, number: int) -> list[str]:
        """Lay out what the round needs."""
        if self.job == "lifecycle.verify":
            carry_out("lifecycle.backup", self.engine, self.store, window(number))
        if self.job == "lifecycle.rotate":
            self._add_expired(number)
        return ["tests.crash.killed_proof", self.job, self.url, str(self.folder), window(number)]

    def _add_expired(self, number: int) -> None:
        """Add archives, every third of which is not yet past its time."""
        with self.engine.begin() as conn:
            now = now_of(conn)
            for one in range(FILES):
                keep = timedelta(days=9 if one % 3 == 0 else -9)
                keeper = Keeper(self.store, 1, now, keep)
                stored = self.store.put(
                    f"archives/agent_feedback/{window(number)}/run-1-g1-f1-{one:06}.copy.zst", b"x"
                )
                keeper.index(conn, "drill", "archive", stored)

    def check(self, number: int) -> None:
        """Fail unless all of the round was done, and what counts is whole."""
        {
            "lifecycle.backup": self._check_backup,
            "lifecycle.verify": self._check_verification,
            "lifecycle.rotate": self._check_rotation,
        }[self.job](number)

    def _check_backup(self, number: int) -> None:
        """Every backup that the ledger counts is there whole; of each round there is one."""
        names = self._values(
            "select name from ocd.artifact where kind = 'backup-manifest' and name like :like",
            like=f"backups/{window(number)}/%",
        )
        assert names, "no backup"
        for name in names:
            found = manifest.read(self.store, name, KEYS)
            assert len(found.parts) == BACKED_UP
            for part in found.parts:
                for _ in manifest.open_part(self.store, part):
                    pass
        noted = self._values(
            "select count(*) from ocd.backup_table where artifact_name like :like",
            like=f"backups/{window(number)}/%",
        )
        assert noted == [BACKED_UP * len(names)]
        partial = [name for name in self.store.list("backups") if name.endswith(".partial")]
        counted = set(self._values("select name from ocd.artifact where name like :like", like="%"))
        assert not counted & set(partial)

    def _check_verification(self, number: int) -> None:
        """A verification is recorded whole or not at all, and restored all of it."""
        found = self._values(
            """
            select count(*) from ocd.verification v join ocd.run r on r.id = v.run_id
            where r.window_label = :label and v.is_equal and v.level = 4
            """,
            label=window(number),
        )
        assert found[0] > 0
        assert found[0] % BACKED_UP == 0

    def _check_rotation(self, number: int) -> None:
        """What is past its time is gone from store and ledger, the rest is in both."""
        folder = f"archives/agent_feedback/{window(number)}"
        there = set(self.store.list(folder))
        with self.engine.connect() as conn:
            rows = conn.execute(
                text("""
                    select name, removed_at, deleted_at, expires_at < clock_timestamp() as is_expired from ocd.artifact
                    where starts_with(name, :folder)
                """),
                {"folder": folder},
            ).all()
        assert {row.name for row in rows if not row.is_expired} == there
        assert all((row.removed_at is not None) == row.is_expired for row in rows)
        assert all((row.deleted_at is not None) == row.is_expired for row in rows)
        assert len(there) == FILES // 3

    def _values(self, query: str, **parameters: Any) -> list[Any]:
        with self.engine.connect() as conn:
            return list(conn.execute(text(query), parameters).scalars())


@contextmanager
def _deed(job: str) -> Iterator[Deed]:
    with kills.server() as (url, folder):
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(_FILL)
            conn.execute(
                "insert into ocd.run (job, state, finished_at, queue, trigger, window_start, window_end, window_label)"
                " values ('lifecycle.purge', 'done', now(), 'long', 'manual', '2019-01-01', '2019-01-02', '2019-01-01')"
            )
        made = _Killed(job, url, folder)
        yield made
        made.engine.dispose()


def backup_deed() -> Any:
    """A backup to be killed."""
    return _deed("lifecycle.backup")


def verify_deed() -> Any:
    """A verification to be killed."""
    return _deed("lifecycle.verify")


def rotate_deed() -> Any:
    """A rotation to be killed."""
    return _deed("lifecycle.rotate")


def main(job: str, url: str, folder: str, label: str) -> None:
    """Carry one out."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    click.echo(STARTED)
    carry_out(job, engine, FolderStore(Path(folder)), label)


if __name__ == "__main__":
    main(*sys.argv[1:])
