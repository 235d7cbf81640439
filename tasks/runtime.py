"""This process's settings, resolved once: configured servers, or the home's embedded ones."""

from __future__ import annotations

import atexit
import os
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ocd.core import migrate
from ocd.core.db import engine_for, now_of, redacted
from ocd.core.embedded import Servers
from ocd.core.settings import Settings, process_environment
from ocd.local.home import open_home

_resolved: dict[bool, Settings] = {}
_servers: list[Servers] = []


_environment: dict[str, str] = {}


def use(environment: dict[str, str]) -> None:
    """Read settings from here instead of the process's environment; before anything was started."""
    _environment.clear()
    _environment.update(environment)


def environment() -> dict[str, str]:
    """Return the environment that settings are read from, for child processes."""
    return dict(_environment) or process_environment()


def configured() -> Settings:
    """Return the settings as the environment says, without starting anything."""
    return Settings.from_env(environment())


def settings(*, with_redis: bool = True) -> Settings:
    """Return settings whose servers answer; starts the embedded ones where none are configured."""
    if True in _resolved:
        return _resolved[True]
    if with_redis not in _resolved:
        found = configured()
        _resolved[with_redis] = (
            open_home(found, _attached(found), with_redis=with_redis)
            if found.is_embedded
            else found
        )
    return _resolved[with_redis]


def engine(application: str = "task", *, with_redis: bool = True) -> Engine:
    """Return this process's engine of the worker login; raises SchemaMismatch unless it is at head."""
    found = engine_for(settings(with_redis=with_redis).worker_url(), application)
    if application not in _checked:
        try:
            with found.connect() as conn:
                migrate.require_head(conn)
        except DBAPIError as error:
            raise redacted(error) from error
        _checked.add(application)
    return found


_checked: set[str] = set()


def now(application: str = "task", *, with_redis: bool = True) -> datetime:
    """Return the database's clock: windows are decided on it, whatever this machine's clock says."""
    with engine(application, with_redis=with_redis).connect() as conn:
        return now_of(conn)


def is_embedded() -> bool:
    """Whether this process works on its home's own servers."""
    return bool(_servers) or configured().is_embedded


def servers() -> Servers:
    """Return the home's attached servers; only where `is_embedded`."""
    return _attached(configured())


def release() -> None:
    """Let the embedded servers go; the last user stops them."""
    from ocd.core.db import close_engines

    close_engines()
    _resolved.clear()
    while _servers:
        _servers.pop().release()


def _attached(found: Settings) -> Servers:
    if not _servers:
        _servers.append(Servers(found.home))
        atexit.register(_release_in, os.getpid())
    return _servers[0]


def _release_in(pid: int) -> None:
    # Forked children inherit the hook; only the process that attached lets go.
    if os.getpid() == pid:
        release()
