"""The embedded servers: private, shared, and leaving foreign files alone."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ocd.core.cluster import Identity, postgres_binaries, scratch_postgres
from ocd.core.embedded import Servers, redis_binary, secret


@contextmanager
def servers_of(home: Path) -> Iterator[Servers]:
    """Servers of a home, down and gone afterwards, wherever their data lie."""
    made = Servers(home)
    try:
        yield made
    finally:
        made.release()
        made.stop()
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)


@pytest.fixture
def servers(tmp_path):
    with servers_of(tmp_path / "home" / ".ocd") as made:
        yield made


def modes(*folders: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mode, path.stat().st_uid)
        for folder in folders
        for path in (folder, *folder.parents)
    }


def test_no_foreign_mode_or_owner_changes(servers, tmp_path):
    watched = (tmp_path, postgres_binaries())
    before = modes(*watched)

    servers.attach(with_redis=True)

    assert modes(*watched) == before


def test_folders_are_private_and_no_port_is_open(servers):
    servers.attach(with_redis=True)

    base = servers.home / "postgres"
    assert stat.S_IMODE(base.stat().st_mode) == 0o700
    assert stat.S_IMODE((servers.home / "redis").stat().st_mode) == 0o700
    with psycopg.connect(servers.postgres.url("worker")) as conn:
        assert conn.execute("show listen_addresses").fetchone() == ("",)


def test_a_wrong_password_is_refused_even_on_the_socket(servers):
    servers.attach(with_redis=False)
    url = servers.postgres.url("worker").replace(servers.postgres.password("worker"), "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_the_last_user_stops_the_servers(servers):
    other = Servers(servers.home)
    servers.attach(with_redis=True)
    other.attach(with_redis=True)

    servers.release()
    assert other.postgres.is_running()

    other.release()
    assert other.postgres.pid() is None
    assert other.redis.pid() is None


def test_what_was_written_is_there_after_a_restart(servers):
    servers.attach(with_redis=False)
    with psycopg.connect(servers.postgres.url("owner")) as conn:
        conn.execute("create table kept (id int)")
    servers.release()

    servers.attach(with_redis=False)

    with psycopg.connect(servers.postgres.url("owner")) as conn:
        assert conn.execute("select to_regclass('kept')::text").fetchone() == ("kept",)


def test_a_long_path_is_no_obstacle(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60) / ".ocd"

    with servers_of(deep) as servers:
        servers.attach(with_redis=True)

        with psycopg.connect(servers.postgres.url("worker")) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        assert len(servers.redis.url()) < 150


def test_a_home_that_nobody_may_enter_works_for_root(tmp_path):
    """As root PostgreSQL runs as `nobody`; a closed parent must stay closed."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with servers_of(closed / ".ocd") as servers:
        servers.attach(with_redis=False)

        assert servers.postgres.is_running()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        if os.geteuid() == 0:
            assert (servers.home / "postgres").is_symlink()


def test_a_secret_is_made_once_and_private(tmp_path):
    first = secret(tmp_path, "flower")

    assert secret(tmp_path, "flower") == first
    assert stat.S_IMODE((tmp_path / "secrets" / "flower").stat().st_mode) == 0o600


def test_redis_is_found_without_any_on_the_path(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert redis_binary().name == "redis-server"


def test_an_ordinary_user_runs_as_itself():
    identity = Identity.unprivileged()

    assert (identity.uid is None) == (os.geteuid() != 0)


def test_a_server_keeps_to_its_settings_whatever_the_umask():
    before = os.umask(0o077)
    try:
        with scratch_postgres() as url, psycopg.connect(url) as conn:
            said = [
                conn.execute(f"show {name}").fetchone()[0] for name in ("listen_addresses", "fsync")
            ]
    finally:
        os.umask(before)

    assert said == ["", "off"]
