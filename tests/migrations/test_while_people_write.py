"""A migration gives way to the people who use the tables, and an index is built while they write."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as pg

from ocd.core import migrate
from ocd.core.errors import SourceUnavailable
from ocd.core.settings import PROJECT

VERSIONS = PROJECT / "migrations" / "versions"
BEFORE, REVISION = "0012", "0013"
INDEX = "public.agent_queries_slow_idx"
WRITE = "insert into public.agent_queries (query, result, conversation_id, agent, latency_ms) values ('q', '1', 'c', 'ops', 300)"
STATE = f"select indisvalid from pg_index where indexrelid = to_regclass('{INDEX}')"
#: Built before this rule; the table was small then, and the workers were stopped.
OLDER = {f"{number:04}" for number in range(1, 13)}


@pytest.fixture
def behind(empty_database):
    """A database one revision before the indexes, with a few rows."""
    migrate.upgrade(empty_database.owner_url, BEFORE)
    with psycopg.connect(empty_database.superuser_url) as conn:
        conn.execute(WRITE)
    return empty_database


def wait_for(conn, query):
    """Wait until the query gives a row."""
    deadline = time.monotonic() + 30
    while not conn.execute(query).fetchone():
        assert time.monotonic() < deadline, query
        time.sleep(0.02)


def in_thread(url, revision):
    thread = threading.Thread(target=migrate.upgrade, args=(url, revision))
    thread.start()
    return thread


WAITS = "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'virtualxid' and query like '%index concurrently%'"


def test_people_write_while_an_index_is_built(behind):
    with (
        psycopg.connect(behind.superuser_url) as open_transaction,
        psycopg.connect(behind.superuser_url, autocommit=True) as writer,
    ):
        open_transaction.execute(WRITE)
        migration = in_thread(behind.owner_url, REVISION)
        wait_for(writer, WAITS)

        writer.execute("set lock_timeout = '1s'")
        written = [writer.execute(WRITE).rowcount for _ in range(20)]

        assert migration.is_alive()
        open_transaction.commit()
        migration.join(timeout=60)
        assert written == [1] * 20
        assert writer.execute(STATE).fetchone() == (True,)
        writer.execute("set enable_seqscan = off")
        found = "select count(*) from public.agent_queries where agent = 'ops' and latency_ms > 100"
        assert writer.execute(found).fetchone() == (22,)


def test_an_index_that_is_not_built_concurrently_stops_them(behind):
    """The test above can fail: this is what it looks like."""
    with (
        psycopg.connect(behind.superuser_url) as open_transaction,
        psycopg.connect(behind.superuser_url) as builder,
        psycopg.connect(behind.superuser_url, autocommit=True) as writer,
    ):
        open_transaction.execute(WRITE)
        thread = threading.Thread(
            target=builder.execute, args=("create index on public.agent_queries (latency_ms)",)
        )
        thread.start()
        wait_for(writer, "select 1 from pg_locks where mode = 'ShareLock' and not granted")
        writer.execute("set lock_timeout = '200ms'")

        with pytest.raises(pg.LockNotAvailable):
            writer.execute(WRITE)

        open_transaction.commit()
        thread.join(timeout=60)


def test_an_index_that_was_broken_off_is_built_again(behind):
    with psycopg.connect(behind.superuser_url, autocommit=True) as conn:
        conn.execute(f"create index {INDEX.split('.')[1]} on public.agent_queries (agent)")
        conn.execute(
            f"update pg_index set indisvalid = false where indexrelid = to_regclass('{INDEX}')"
        )

    migrate.upgrade(behind.owner_url, REVISION)

    with psycopg.connect(behind.superuser_url) as conn:
        (definition,) = conn.execute(f"select pg_get_indexdef(to_regclass('{INDEX}'))").fetchone()
        assert conn.execute(STATE).fetchone() == (True,)
    assert "latency_ms DESC" in definition


def test_an_index_that_was_there_is_left_alone_on_the_way_down_too(behind):
    with psycopg.connect(behind.owner_url, autocommit=True) as conn:
        conn.execute(f"create index {INDEX.split('.')[1]} on public.agent_queries (agent)")
    migrate.upgrade(behind.owner_url, REVISION)

    migrate.downgrade(behind.owner_url, BEFORE)

    with psycopg.connect(behind.superuser_url) as conn:
        assert conn.execute(STATE).fetchone() == (True,)


def test_two_migrations_at_once_take_turns(behind):
    deed = "import sys; from ocd.core import migrate; migrate.upgrade(sys.argv[1])"
    command = [sys.executable, "-c", deed, behind.owner_url]
    both = [subprocess.Popen(command, cwd=PROJECT) for _ in range(2)]

    codes = [one.wait(timeout=60) for one in both]

    assert codes == [0, 0]
    with psycopg.connect(behind.superuser_url) as conn:
        (version,) = conn.execute("select version_num from ocd.alembic_version").fetchone()
        assert (version, conn.execute(STATE).fetchone()) == (migrate.head(), (True,))


def test_a_migration_that_gets_no_lock_gives_up_and_changes_nothing(empty_database):
    migrate.upgrade(empty_database.owner_url, "0008")
    with psycopg.connect(empty_database.superuser_url) as reader:
        reader.execute("lock table public.agent_queries in access share mode")

        with pytest.raises(SourceUnavailable, match="55P03"):
            migrate.upgrade(empty_database.owner_url, BEFORE)

    with psycopg.connect(empty_database.superuser_url) as conn:
        assert conn.execute("select version_num from ocd.alembic_version").fetchone() == ("0008",)


def plain_indexes(source):
    """Return the tables that a revision indexes without `concurrently` and did not make itself."""
    made = set(re.findall(r"create table (?:if not exists )?([\w.{}\[\]()']+)", source))
    on = re.findall(r"create (?:unique )?index (?!concurrently)\S+\s+on ([\w.{}\[\]()']+)", source)
    return [table for table in on if table not in made]


@pytest.mark.parametrize(
    "path",
    [one for one in sorted(VERSIONS.glob("0*.py")) if one.name[:4] not in OLDER],
    ids=lambda path: path.name[:4],
)
def test_a_table_that_may_be_large_is_indexed_concurrently(path: Path):
    # A loop over the tables of the same file names them by a variable. Holds are placed by hand: they are few.
    small = {"{table}", "ocd.legal_hold"}
    assert [one for one in plain_indexes(path.read_text()) if one not in small] == []


def test_an_index_that_would_stop_writers_is_seen():
    assert plain_indexes("create index a on public.agent_queries (b)") == ["public.agent_queries"]
