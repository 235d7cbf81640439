"""Database engines: created lazily, per process, never before a fork."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from psycopg import errors as pg
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from ocd.core.errors import ConfigError, OcdError, SourceUnavailable

_engines: dict[tuple[int, str], Engine] = {}


def sqlalchemy_url(url: str) -> URL:
    """Return `url` for SQLAlchemy with the psycopg driver, whatever scheme spelling it came in."""
    return make_url(url).set(drivername="postgresql+psycopg")


def engine_for(url: str, application: str) -> Engine:
    """Return this process's engine for `url`.

    Pools hold one connection (a prefork child does one job at a time) and one to spare for the
    lease. Behind a transaction pooler (port 6543, Supabase's convention) nothing is pooled or
    prepared here. Keyed by process id, so that a forked child never touches its parent's sockets.
    """
    key = (os.getpid(), f"{url} {application}")
    if key not in _engines:
        _engines[key] = _new_engine(sqlalchemy_url(url), application)
    return _engines[key]


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
    return create_engine(
        url,
        pool_size=1,
        max_overflow=2,
        pool_pre_ping=True,
        pool_recycle=900,
        connect_args=arguments,
        hide_parameters=True,  # an error's text may end in a log; a parameter may be a row's value
    )


def now_of(conn: Connection) -> datetime:
    """Return the database's clock."""
    found = conn.execute(text("select clock_timestamp()")).scalar_one()
    assert isinstance(found, datetime)  # noqa: S101 - what the function returns
    return found


def forget_engines() -> None:
    """Drop engines inherited over a fork without closing the parent's sockets."""
    for engine in _engines.values():
        engine.dispose(close=False)
    _engines.clear()


def close_engines() -> None:
    """Close this process's connections."""
    for key in [key for key in _engines if key[0] == os.getpid()]:
        _engines.pop(key).dispose()


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
