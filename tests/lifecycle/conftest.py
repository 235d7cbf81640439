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
from ocd.lifecycle import purge
from ocd.lifecycle.policy import Limits
from ocd.lifecycle.purge import Terms
from tests.conftest import at
from tests.factories.clock import NOW

_numbers = itertools.count()

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
        window: str = "2026-11-23", *, verified_at: datetime | None = None, is_equal: bool = True
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
                      (run_id, backup_run_id, dataset, rows, content_hash, is_equal, verified_at)
                    values (:run_id, :backup_run_id, :dataset, 0, '0:0', :is_equal,
                            coalesce(cast(:verified_at as timestamptz), clock_timestamp()))
                """),
                {
                    "run_id": verify.id,
                    "backup_run_id": backup.id,
                    "dataset": dataset.name,
                    "is_equal": is_equal,
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
