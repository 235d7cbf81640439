"""Database engines: created lazily, per process, never before a fork."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.rows import namedtuple_row
from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    NullPool,
    TextClause,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from ocd.core.errors import ConfigError, OcdError, SourceUnavailable
from ocd.core.statements import watch

# It logs the errors that it ignores with their text, and that of a COPY quotes the row.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

#: A pooled connection that was used this recently is not asked whether it still stands.
TRUST_S = 1.0

#: Engines by URL and application, each with the process that its connections belong to.
_engines: dict[str, tuple[int, Engine]] = {}


def sqlalchemy_url(url: str) -> URL:
    """Return `url` for SQLAlchemy with the psycopg driver, whatever scheme spelling it came in."""
    return make_url(url).set(drivername="postgresql+psycopg")


def engine_for(url: str, application: str) -> Engine:
    """Return this process's engine for `url`.

    Pools hold one connection (a prefork child does one job at a time) and one to spare for the
    lease. Behind a transaction pooler (port 6543, Supabase's convention) nothing is pooled or
    prepared here. A forked child takes over what its parent's engine knows of the server, and none
    of its sockets.
    """
    key, mine = f"{url} {application}", os.getpid()
    pid, engine = _engines.get(key, (mine, None))
    if engine is None:
        engine = _new_engine(sqlalchemy_url(url), application)
        watch(engine)
    elif pid != mine:
        engine.dispose(close=False)
    _engines[key] = (mine, engine)
    return engine


def _new_engine(url: URL, application: str) -> Engine:
    arguments: dict[str, Any] = {
        "application_name": f"ocd:{application}",
        "connect_timeout": 5,
    }
    if url.port == 6543:
        # A transaction pooler refuses start-up options, and prepared statements miss their session.
        arguments["prepare_threshold"] = None
        return create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    arguments["options"] = "-c timezone=UTC -c idle_in_transaction_session_timeout=600000"
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=2,
        pool_recycle=900,
        connect_args=arguments,
        hide_parameters=True,  # an error's text may end in a log; a parameter may be a row's value
    )
    _ping_after_rest(engine)
    return engine


def _ping_after_rest(engine: Engine) -> None:
    """Ask a pooled connection that rested whether it still stands; a dead one is replaced unseen.

    Not at every check-out, as `pool_pre_ping` does: an attempt takes a connection several times in a
    row, and each question is a round trip.
    """

    def rest(_: Any, record: Any) -> None:
        record.info["rested_at"] = time.monotonic()

    def ping(dbapi_connection: Any, record: Any, _: Any) -> None:
        rested_at = record.info.get("rested_at")
        if rested_at is None or time.monotonic() - rested_at < TRUST_S:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except psycopg.OperationalError as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", rest)  # codespell:ignore checkin
    event.listen(engine, "checkout", ping)


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """Connect for statements of `on_driver` that are a transaction each, without BEGIN and COMMIT around them."""
    with engine.connect() as conn:
        driver = _driver_of(conn)
        driver.autocommit = True
        try:
            yield conn
        finally:
            if not driver.closed:
                driver.autocommit = False


def on_driver(
    conn: Connection, statement: TextClause, parameters: Mapping[str, Any]
) -> psycopg.Cursor[Any]:
    """Run a statement by the driver itself, in the transaction of `conn`; rows are named tuples.

    For the few statements that every attempt makes: SQLAlchemy describes the result of a text statement
    anew each time, which costs more than the statement. Errors are SQLAlchemy's, as everywhere.
    """
    driver = _driver_of(conn)
    try:
        cursor = driver.cursor(row_factory=namedtuple_row)
        return cursor.execute(_driver_sql(statement, conn.dialect), parameters)
    except psycopg.Error as error:
        if driver.closed:
            conn.invalidate(error)
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error


@contextmanager
def beside(conn: Connection) -> Iterator[psycopg.Connection[Any]]:
    """Open one more connection to the server and as the login of `conn`, outside every pool; closed at the end."""
    url = conn.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    # A transaction pooler loses prepared statements; on a single pass they gain nothing.
    with psycopg.connect(url, prepare_threshold=None, connect_timeout=5) as driver:
        yield driver


def _driver_of(conn: Connection) -> psycopg.Connection[Any]:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the only driver we name
    return driver


@cache
def _driver_sql(statement: TextClause, dialect: Dialect) -> bytes:
    return str(statement.compile(dialect=dialect)).encode()


def now_of(conn: Connection) -> datetime:
    """Return the database's clock."""
    found = conn.execute(text("select clock_timestamp()")).scalar_one()
    assert isinstance(found, datetime)  # noqa: S101 - what the function returns
    return found


def close_engines() -> None:
    """Close this process's connections; whoever asks for an engine again gets new ones."""
    for pid, engine in _engines.values():
        if pid == os.getpid():
            engine.dispose()


def redacted(error: DBAPIError | pg.Error) -> OcdError:
    """Reduce a database error to class, constraint and position: its text may hold a row's values."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    name = type(origin).__name__
    if isinstance(origin, pg.Error) and origin.sqlstate:
        diag = origin.diag
        parts = [name, f"SQLSTATE {origin.sqlstate}"]
        parts += [
            f"{what} {value}"
            for what, value in (
                ("table", diag.table_name),
                ("column", diag.column_name),
                ("constraint", diag.constraint_name),
                ("position", diag.statement_position),
            )
            if value
        ]
        kind = _kind_of(origin.sqlstate)
        return kind("database: " + ", ".join(parts))
    return SourceUnavailable(
        f"database: {name}: no connection, or it broke; is the server up? (`ocd check`)"
    )


def _kind_of(sqlstate: str) -> type[OcdError]:
    # 08 connection, 40 rollback and deadlock, 53 resources, 55P03 lock timeout, 57 intervention.
    if sqlstate[:2] in {"08", "40", "53", "57"} or sqlstate == "55P03":
        return SourceUnavailable
    if sqlstate in {"42501", "28P01", "28000", "3D000"}:
        return ConfigError
    return OcdError
