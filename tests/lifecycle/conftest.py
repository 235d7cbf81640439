"""Proof for purges, and empty databases to restore into."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, text

from ocd.datasets.agents import AGENT_QUERIES
from ocd.datasets.registry import DATASETS
from ocd.ledger import claims
from ocd.ledger.claims import Ending
from ocd.ledger.evidence import Report, to_evidence
from ocd.ledger.run import Run
from ocd.ledger.states import State
from ocd.lifecycle import backup as backups
from ocd.lifecycle import deadlines, erase, erasures, purge, restore
from ocd.lifecycle.policy import Limits
from ocd.lifecycle.purge import Terms
from tests.conftest import KEYS, at
from tests.factories.clock import NOW

_numbers = itertools.count()
ERASURE_KEY = "a key of the tests, long enough to hash"

#: Small batches, and no limit that tables of a few rows would pass.
TERMS = Terms(batch_rows=500, limits=Limits(share_percent=100, jump_days=9999))


@pytest.fixture
def scratch(server: str) -> Callable[[], AbstractContextManager[str]]:
    """An empty database of the session's server: restores as a scratch server does, but at once."""

    @contextmanager
    def make() -> Iterator[str]:
        name = f"scratch_{next(_numbers)}"
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(
                sql.SQL("create database {} strategy file_copy").format(sql.Identifier(name))
            )
        try:
            yield at(server, database=name)
        finally:
            with psycopg.connect(server, autocommit=True) as conn:
                conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    return make


@pytest.fixture
def end(db) -> Callable[..., None]:
    """End a run as done, as the task layer does."""

    def finish(run: Run, report: Report | None = None) -> None:
        evidence = to_evidence(report) if report else {"type": "T", "version": 1}
        ending = Ending(State.DONE, "done", rows=report.rows if report else 0, evidence=evidence)
        with db.engine.begin() as conn:
            claims.finish(conn, run, ending)

    return finish


@pytest.fixture
def prove(conn: Connection, start_run, store, keeper_for) -> Callable[..., None]:
    """Note that a night's backup of every dataset was restored and found equal, or not."""

    def note(
        window: str = "2026-11-23",
        *,
        verified_at: datetime | None = None,
        is_equal: bool = True,
        level: int | None = 4,
    ) -> None:
        backup, verify = (
            start_run("lifecycle.backup", window),
            start_run("lifecycle.verify", window),
        )
        for dataset in DATASETS:
            copy = store.put(f"backups/{window}/run-{backup.id}/{dataset.name}.copy.zst", b"a copy")
            keeper_for(backup).index(conn, "lifecycle.backup", "backup", copy)
            conn.execute(
                text("""
                    insert into ocd.backup_table
                      (run_id, generation, fence, dataset, snapshot_at, rows, content_hash, artifact_name)
                    values (:run_id, 1, :fence, :dataset, clock_timestamp(), 0, '0:0', :name)
                    on conflict do nothing
                """),
                {
                    "run_id": backup.id,
                    "fence": backup.fence,
                    "dataset": dataset.name,
                    "name": copy.name,
                },
            )
            conn.execute(
                text("""
                    insert into ocd.verification
                      (run_id, backup_run_id, dataset, rows, content_hash, is_equal, level, verified_at)
                    values (:run_id, :backup_run_id, :dataset, 0, '0:0', :is_equal, :level,
                            coalesce(cast(:verified_at as timestamptz), clock_timestamp()))
                """),
                {
                    "run_id": verify.id,
                    "backup_run_id": backup.id,
                    "dataset": dataset.name,
                    "is_equal": is_equal,
                    "level": level,
                    "verified_at": verified_at,
                },
            )
        conn.commit()

    return note


@pytest.fixture
def delete(conn, store, keeper_for, start_run, end):
    """Purge in a run of its own, ended as done; returns the report."""

    def deed(dataset=AGENT_QUERIES, *, run=None, terms=TERMS):
        run = run or start_run("lifecycle.purge", subject={"dataset": dataset.name})
        report = purge.purge(
            conn, dataset, run=run, store=store, keeper=keeper_for(run), now=NOW, terms=terms
        )
        end(run, report)
        return report

    return deed


@pytest.fixture
def back_up(conn, store, keeper_for, start_run, end) -> Callable[..., str]:
    """Back everything up in a run of its own; returns the backup's folder in the store."""

    def deed(window: str = "2026-11-23") -> str:
        run = start_run("lifecycle.backup", window)
        report = backups.backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
        end(run)
        return report.manifest.removesuffix("/manifest.json")

    return deed


@pytest.fixture
def wish(conn) -> Callable[..., int]:
    """Note what somebody wants back; returns the number of the request."""

    def deed(source: str, name: str, **wanted) -> int:
        here = conn.execute(text("select current_database()")).scalar_one()
        made = restore.Wish(source, name, **{"confirmed_database": here} | wanted)
        number = restore.wish(conn, made, requested_by="mara")
        conn.commit()
        return number

    return deed


@pytest.fixture
def bring_back(conn, store, start_run, end, scratch):
    """Carry out a request to restore, in a run of its own; a kept server is an empty database of this session."""

    def deed(number: int, *, run=None, is_dry=False, kept_server=None):
        run = run or start_run("lifecycle.restore", subject={"request": number}, is_dry=is_dry)
        report = restore.restore(
            conn,
            number,
            run=run,
            store=store,
            keys=KEYS,
            key=ERASURE_KEY,
            kept_server=kept_server,
            scratch=scratch,
        )
        end(run)
        return report

    return deed


@pytest.fixture
def undo(conn, store, start_run, end):
    """Carry out a request to unpurge, in a run of its own."""

    def deed(number: int, *, run=None, is_dry=False, store=store):
        run = run or start_run("lifecycle.unpurge", subject={"request": number}, is_dry=is_dry)
        report = restore.unpurge(conn, number, run=run, store=store, key=ERASURE_KEY)
        end(run)
        return report

    return deed


@pytest.fixture
def ask(conn) -> Callable[..., int]:
    """Note that somebody asks to be forgotten, by lines such as `conversation:c1`; returns the number."""

    def deed(*lines: str, received_at: datetime = NOW, proof: str = "email-and-order") -> int:
        made = erasures.add(
            conn,
            deadlines.subjects_of(lines),
            proof=proof,
            received_at=received_at,
            requested_by="mara",
        )
        conn.commit()
        return made.number

    return deed


@pytest.fixture
def forget(conn, store, keeper_for, start_run, end):
    """Carry out an erasure, or plan it, in a run of its own."""

    def deed(number: int, *, run=None, is_dry=False, erasers=(), key=ERASURE_KEY, store=store):
        # Each time on another day: a run that failed in the hands of a test stays claimed.
        day = f"2026-10-{next(_numbers) % 28 + 1:02}"
        run = run or start_run("lifecycle.erase", day, subject={"request": number}, is_dry=is_dry)
        common = {"run": run, "store": store, "keys": KEYS, "now": run.now, "erasers": erasers}
        if is_dry:
            report = erase.plan(conn, number, **common)
        else:
            report = erase.erase(conn, number, keeper=keeper_for(run), key=key, **common)
        end(run)
        return report

    return deed
