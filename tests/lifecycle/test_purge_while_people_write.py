"""A dry run, then a purge, while others insert and change: they differ by the rows that changed, no others."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger.windows import Daily
from ocd.lifecycle import copying
from ocd.lifecycle.purge import plan
from tests.factories.clock import NOW
from tests.lifecycle.conftest import TERMS
from tests.lifecycle.rows import add_queries, ids

END = NOW.replace(hour=0)
OLD = END - timedelta(days=31)
ROWS = 12_000


class Writers:
    """People who insert, and judge old questions slow, so that these are kept longer."""

    def __init__(self, url, due):
        self.changed = set()
        self._url, self._due = url, due
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._insert, self._change)]

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._threads:
            one.join()

    def _insert(self):
        with psycopg.connect(self._url, autocommit=True) as conn:
            while not self._stop.wait(0.002):
                conn.execute(
                    "insert into agent_queries (query, result, conversation_id, agent) values ('q', '{}', 'c', 'ops')"
                )

    def _change(self):
        # From both ends, so that some are changed before their batch comes and others are gone by then.
        turns = [key for pair in zip(self._due, reversed(self._due), strict=True) for key in pair]
        with psycopg.connect(self._url, autocommit=True) as conn:
            for key in turns:
                if self._stop.wait(0.001):
                    return
                done = conn.execute(
                    "update agent_queries set latency_ms = 900 where id = %s returning id", (key,)
                )
                self.changed |= {row[0] for row in done}


@pytest.fixture
def archived(conn, store):
    def keys():
        names = conn.execute(text("select archive from ocd.purge_chunk")).scalars().all()
        conn.rollback()
        raw = b"".join(block for name in names for block in copying.read_back(store, name))
        return [int(line.split(b"\t", 1)[0]) for line in raw.splitlines()]

    return keys


def test_a_purge_deletes_what_the_dry_run_counted_less_the_rows_that_changed(
    conn, db, prove, delete, archived
):
    add_queries(conn, ROWS, created_at=OLD)
    due = sorted(ids(conn, "agent_queries"))
    add_queries(conn, 500, created_at=END)
    prove()
    planned = plan(conn, AGENT_QUERIES, now=NOW, window=Daily().parse("2026-11-23"), terms=TERMS)

    with Writers(db.owner_url, due) as writers:
        report = delete()

    gone = archived()
    assert len(gone) == len(set(gone)) == report.rows
    assert planned.rows == ROWS
    assert planned.predicate_sha256 == report.predicate_sha256
    # Every row that the dry run counted is gone, except those that somebody changed before.
    assert set(due) - set(gone) == writers.changed
    assert set(gone) <= set(due)
    assert set(due) - set(gone) == set(due) & ids(conn, "agent_queries")
    assert writers.changed, "nobody was in the way: the test says nothing"
    assert report.rows + report.changed == sum(report.rows_by_rule.values())
    assert planned.rows - report.rows == len(writers.changed)
