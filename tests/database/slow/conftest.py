"""Servers that tell what was slow, each in its own way, and three slow statements on each."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from ocd.core import statements
from ocd.core.cluster import Cluster, Identity, database_url
from ocd.core.db import sqlalchemy_url
from ocd.ledger import loglines
from tests.conftest import at

LOGGING = """
fsync = off
logging_collector = on
log_destination = 'jsonlog'
log_min_duration_statement = 0
"""
#: Debian's server brings the extension; the wheel's does not. The newest one, where there are several.
DEBIAN = max(
    Path("/usr/lib/postgresql").glob("*/bin/postgres"),
    key=lambda path: int(path.parts[-3]),
    default=Path("/usr/lib/postgresql/postgres"),
).parent
_numbers = itertools.count()
NAMES = ("Ann", "Bea", "Cem")


@contextmanager
def folder():
    """Yield a folder of the server's user; what a killed test leaves, the next scratch server sweeps."""
    base = Path(tempfile.mkdtemp(prefix=f"ocd-scratch-{os.getpid()}-"))
    identity = Identity.unprivileged()
    identity.own(base)
    try:
        yield base, identity
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def log_url():
    """A server that logs every statement as JSON."""
    with folder() as (base, identity):
        cluster, password = Cluster(base, identity, LOGGING), secrets.token_urlsafe(9)
        cluster.initialise(password, durable=False)
        cluster.start()
        yield database_url("postgres", password, "postgres", cluster.socket_folder())
        cluster.stop("immediate")


@pytest.fixture(scope="session")
def statistics_url():
    """A server with pg_stat_statements; skips where none is installed."""
    if not (DEBIAN / "postgres").exists():
        pytest.skip("no server with pg_stat_statements: on Debian, apt-get install postgresql")
    with folder() as (base, identity):
        identity.run(
            DEBIAN / "initdb",
            "-D",
            base / "data",
            "-U",
            "postgres",
            "--no-sync",
            "--encoding=UTF8",
            "-A",
            "trust",
            cwd=base,
        )
        options = f"-c listen_addresses= -c unix_socket_directories={base} -c fsync=off -c shared_preload_libraries=pg_stat_statements"
        identity.run(
            DEBIAN / "pg_ctl",
            "start",
            "-w",
            "-s",
            "-D",
            base / "data",
            "-l",
            base / "log",
            "-o",
            options,
            cwd=base,
        )
        url = database_url("postgres", "", "postgres", base)
        with psycopg.connect(at(url, database="template1"), autocommit=True) as conn:
            conn.execute("create schema extensions")
            conn.execute("create extension pg_stat_statements schema extensions")
        yield url
        identity.run(
            DEBIAN / "pg_ctl", "stop", "-m", "immediate", "-s", "-D", base / "data", cwd=base
        )


def plant(engine):
    """Send the same statement three times with different values, and another one."""
    with engine.connect() as conn:
        for name in NAMES:
            conn.exec_driver_sql(f"select '{name}', pg_sleep(0.06)")
        conn.execute(text("select pg_sleep(:s)"), {"s": 0.06})


@pytest.fixture
def noting(start_run, db, monkeypatch):
    """An engine whose slow statements are noted with a run, and what is slow is soon reached."""
    monkeypatch.setattr(statements, "SLOW_S", 0.05)
    run = start_run()
    engine = create_engine(sqlalchemy_url(db.url), poolclass=NullPool)
    statements.watch(engine)
    with loglines.kept(engine, run.id, run.fence):
        yield engine
    engine.dispose()


@contextmanager
def database_of(url):
    """Make a database on a server and yield an engine for it."""
    name = f"planted_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"create database {name}")
    engine = create_engine(sqlalchemy_url(at(url, database=name)), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture(params=["statistics", "log", "notes"])
def planted(request):
    """A connection to a database where three slow statements ran, and the name of what knows them."""
    if request.param == "notes":
        engine = request.getfixturevalue("noting")
        plant(engine)
        flush_notes()
        with engine.connect() as conn:
            yield conn, request.param
        return
    url = request.getfixturevalue(f"{request.param}_url")
    with database_of(url) as engine:
        plant(engine)
        time.sleep(0.3)  # the log is written by a process of its own
        with engine.connect() as conn:
            yield conn, request.param


def flush_notes():
    """Have the lines of the run written that are kept back for a second."""
    for handler in logging.getLogger().handlers:
        handler.flush()
