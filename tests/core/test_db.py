"""Connections: pooled ones that died, forked children, statements that the driver runs itself."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ocd.core import db as dbs
from ocd.core.errors import SourceUnavailable
from ocd.core.settings import PROJECT

BACKEND = text("select pg_backend_pid() as pid")
FORKED = """
import os, sys
from sqlalchemy import text
from ocd.core.db import close_engines, engine_for

def backend():
    with engine_for(sys.argv[1], "test").connect() as conn:
        return conn.execute(text("select pg_backend_pid()")).scalar_one()

before = backend()
child = os.fork()
if child == 0:
    os._exit(0 if backend() != before else 1)
same = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(same, backend() == before)
close_engines()
"""


@pytest.fixture
def engine(db):
    yield dbs.engine_for(db.url, "test")
    dbs.close_engines()


def backend_of(engine):
    with dbs.autocommit(engine) as conn:
        return dbs.on_driver(conn, BACKEND, {}).fetchone().pid


def kill(db, backend):
    with psycopg.connect(db.superuser_url, autocommit=True) as conn:
        conn.execute("select pg_terminate_backend(%s, 5000)", [backend])


def test_a_connection_is_used_again_by_who_comes_next(engine):
    assert backend_of(engine) == backend_of(engine)


def test_a_connection_that_died_while_it_rested_is_replaced_unseen(db, engine, monkeypatch):
    monkeypatch.setattr(dbs, "TRUST_S", 0.0)
    dead = backend_of(engine)
    kill(db, dead)

    assert backend_of(engine) != dead


def test_a_connection_that_dies_under_a_statement_is_an_error_like_any_other_and_then_replaced(
    db, engine, monkeypatch
):
    monkeypatch.setattr(dbs, "TRUST_S", 3600.0)
    dead = backend_of(engine)
    kill(db, dead)

    with pytest.raises(DBAPIError) as raised:
        backend_of(engine)

    assert isinstance(dbs.redacted(raised.value), SourceUnavailable)
    assert backend_of(engine) != dead


def test_a_statement_on_the_driver_belongs_to_the_transaction_around_it(db, engine):
    beat = text("insert into ocd.heartbeat (name) values (:name)")

    with pytest.raises(ZeroDivisionError), engine.begin() as conn:
        dbs.on_driver(conn, beat, {"name": "undone"})
        raise ZeroDivisionError

    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from ocd.heartbeat")).scalar() == 0


def test_a_statement_under_autocommit_needs_no_commit(db, engine):
    beat = text("insert into ocd.heartbeat (name) values (:name)")

    with pytest.raises(ZeroDivisionError), dbs.autocommit(engine) as conn:
        dbs.on_driver(conn, beat, {"name": "kept"})
        raise ZeroDivisionError

    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from ocd.heartbeat")).scalar() == 1


def test_after_autocommit_the_same_connection_has_transactions_again(engine):
    backend = backend_of(engine)

    with engine.connect() as conn:
        assert conn.execute(BACKEND).scalar() == backend
        assert conn.connection.driver_connection.autocommit is False


def test_a_forked_child_gets_a_connection_of_its_own_and_the_parent_keeps_its(db):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, db.url],
        env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.split() == ["0", "True"]
