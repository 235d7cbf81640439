"""A purge to be killed: `python -m tests.crash.killed_purge URL FOLDER WINDOW` carries it out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
import psycopg
from sqlalchemy import NullPool, create_engine

from ocd.core.db import sqlalchemy_url
from ocd.core.store import FolderStore
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.ledger.windows import Daily
from ocd.lifecycle import copying
from ocd.lifecycle.policy import Limits
from ocd.lifecycle.purge import PurgeReport, Terms, purge
from tests.crash.kills import STARTED, carry_out, server

ROWS = 20_000
TERMS = Terms(batch_rows=500, limits=Limits(100, ROWS, 9999))
_FILL = """
    insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at)
    select E'where is\\tmy order?\\n' || i, jsonb_build_object('answer', repeat('x', 90)), 'c' || i %% 50, 'ops', 20,
           timestamptz '2020-01-01' from generate_series(1, %s) i
"""
_PROVE = """
    with night as (
      insert into ocd.run (job, state, finished_at, queue, trigger, window_start, window_end, window_label)
      select 'lifecycle.backup', 'done', now(), 'long', 'manual', timestamptz '2020-01-01', timestamptz '2020-01-02', '2020-01-01' returning id
    ), copied as (
      insert into ocd.backup_table (run_id, generation, fence, dataset, snapshot_at, rows, content_hash, artifact_name)
      select id, 1, 0, 'agent_queries', clock_timestamp(), 0, '0:0', %(name)s from night
    ), kept as (
      insert into ocd.artifact (run_id, source, kind, name, sha256, size_bytes, expires_at)
      select id, 'drill', 'backup', %(name)s, %(sha256)s, 6, clock_timestamp() + interval '1 day' from night
    )
    insert into ocd.verification (run_id, backup_run_id, dataset, rows, content_hash, is_equal, level)
    select id, id, 'agent_queries', 0, '0:0', true, 4 from night
"""


def window(number: int) -> str:
    """Return the window of a round."""
    return f"2024-{1 + number // 28:02}-{1 + number % 28:02}"


class KilledPurge:
    """A table full of old questions in each round, and an empty one behind it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.store = url, FolderStore(folder)
        self._ids: set[int] = set()
        copy = self.store.put("backups/copy", b"a copy")
        with psycopg.connect(url) as conn:
            conn.execute(_PROVE, {"name": copy.name, "sha256": copy.sha256})

    def prepare(self, number: int) -> list[str]:
        """Fill the table."""
        with psycopg.connect(self.url) as conn:
            conn.execute("truncate agent_queries")
            conn.execute(_FILL, (ROWS,))
            self._ids = {row[0] for row in conn.execute("select id from agent_queries")}
        return ["tests.crash.killed_purge", self.url, str(self.store.root), window(number)]

    def check(self, number: int) -> None:
        """Hold that each row is in one archive, and that the store holds what the ledger names, no more."""
        with psycopg.connect(self.url) as conn:
            left = {row[0] for row in conn.execute("select id from agent_queries")}
            chunks = conn.execute(
                "select c.archive, c.stored_sha256, c.rows from ocd.purge_chunk c join ocd.run r on r.id = c.run_id"
                " where r.window_label = %s",
                (window(number),),
            ).fetchall()
            indexed = {row[0] for row in conn.execute("select name from ocd.artifact")}
        lines = [
            line
            for name, sha256, _ in chunks
            for line in b"".join(
                copying.read_back(self.store, name, stored_sha256=sha256)
            ).splitlines()
        ]
        archived = [int(line.split(b"\t", 1)[0]) for line in lines]
        assert len(archived) == len(set(archived)), f"round {number}: a row was archived twice"
        assert not left & set(archived), f"round {number}: an archived row is still there"
        assert left | set(archived) == self._ids, f"round {number}: a row was lost"
        assert not left, f"round {number}: the next try did not finish"
        there = set(self.store.list(f"archives/agent_queries/{window(number)}"))
        (manifest,) = there - {chunk[0] for chunk in chunks}
        assert there <= indexed, f"round {number}: an object that the ledger does not know"
        assert json.loads(b"".join(self.store.open(manifest)))["rows"] == ROWS


@contextmanager
def deed() -> Iterator[KilledPurge]:
    """A migrated server of its own, and a folder for archives."""
    with server() as (url, folder):
        yield KilledPurge(url, folder)


def main(url: str, folder: str, label: str) -> None:
    """Claim the window's run and purge, as a worker does."""
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    store = FolderStore(Path(folder))
    order = enqueue.Order(
        "lifecycle.purge", Daily().parse(label), "long", subject={"dataset": "agent_queries"}
    )

    def body(run: Run) -> PurgeReport:
        with engine.connect() as conn:
            return purge(
                conn,
                AGENT_QUERIES,
                run=run,
                store=store,
                keeper=Keeper(store, run.id, run.now, timedelta(days=90)),
                now=run.now,
                terms=TERMS,
            )

    carry_out(engine, order, body, begun=lambda: click.echo(STARTED))


if __name__ == "__main__":
    main(*sys.argv[1:])
