"""Worker, beat, Flower, API and demo site of a home, kept alive by supervisord.

supervisord restarts what dies, keeps rotated logs, and is asked over a Unix socket. It holds the
lock on the embedded servers as long as it lives. What a killed supervisord leaves behind is found
by the `OCD_STACK` mark in its children's environment.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocd.core.broker import QUEUES
from ocd.core.embedded import Servers, make_private, secret
from ocd.core.errors import ConfigError, SourceUnavailable
from ocd.core.settings import PROJECT, Settings, process_environment
from ocd.local.home import demo_site_port

FLOWER_USER = "ocd"
#: What one night does without; they start with `ocd up` only.
FOR_LONG = {"beat", "api"}
MARK = "OCD_STACK"
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Process:
    """One process of the stack: name, state in supervisord's words, pid (0 when down), what it says."""

    name: str
    state: str
    pid: int
    detail: str


class Stack:
    """The processes of a home beside its servers."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: what the programs inherit; default this process's."""
        self.home = settings.home
        self._settings = settings
        self._inherited = environment
        self._run = settings.home / "run"

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        try:
            return bool(self._ask("getState")["statename"])
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def start(self, servers: Servers, *, with_beat: bool) -> None:
        """Start supervisord and its programs, after sweeping what an earlier one left behind."""
        if self.is_running():
            return
        self.sweep()
        conf = self._write_files(with_beat)
        log = self.home / "logs" / "supervisord.out"
        with log.open("ab") as out:
            subprocess.Popen(  # noqa: S603 - our own interpreter and configuration
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(conf)],
                cwd=self.home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=(servers.lock_descriptor(),),
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_running():
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"supervisord did not start; see {log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop every program (workers finish their batch), then supervisord; leaves no orphan."""
        if self.is_running():
            self._ask("shutdown")
            deadline = time.monotonic() + START_TIMEOUT_S * 2
            while self.is_running() and time.monotonic() < deadline:
                time.sleep(0.1)
        self.sweep()

    def processes(self) -> list[Process]:
        """Return the state of each program; empty when supervisord does not run."""
        if not self.is_running():
            return []
        return [
            Process(item["name"], item["statename"].lower(), item["pid"], item["description"])
            for item in self._ask("getAllProcessInfo")
        ]

    def start_program(self, name: str) -> None:
        """Start one program unless it runs."""
        try:
            self._ask("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != 60:  # ALREADY_STARTED
                raise

    def flower_url(self) -> str:
        """Return where Flower listens."""
        return f"http://127.0.0.1:{(self.home / 'flower.port').read_text(encoding='utf-8').strip()}"

    def api_url(self) -> str | None:
        """Return where the API listens; None where its extra is not installed."""
        path = self.home / "api.port"
        if not has_api() or not path.exists():
            return None
        return f"http://127.0.0.1:{path.read_text(encoding='utf-8').strip()}"

    def flower_password(self) -> str:
        """Return the generated password of Flower's user."""
        return secret(self.home, "flower")

    def wait_for_flower(self, timeout_s: float = 30) -> bool:
        """Wait until Flower answers, so that it sees the events that follow."""
        host, port = self.flower_url().removeprefix("http://").split(":")
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection(host, int(port), timeout=2)
                connection.request("GET", "/healthcheck")
                if connection.getresponse().status == 200:
                    return True
            except OSError:
                time.sleep(0.1)
        return False

    def sweep(self) -> list[int]:
        """End processes of this home whose supervisord is gone; returns their ids."""
        found = [process for process in _marked(self.home) if process != os.getpid()]
        if not found:
            return []
        import psutil

        alive = []
        for pid in found:
            try:
                alive.append(psutil.Process(pid))
            except psutil.NoSuchProcess:
                continue
        for process in alive:
            _quietly(process.terminate)
        _, stubborn = psutil.wait_procs(alive, timeout=10)
        for process in stubborn:
            _quietly(process.kill)
        psutil.wait_procs(stubborn, timeout=5)
        return found

    def _environment(self) -> dict[str, str]:
        inherited = dict(self._inherited) if self._inherited is not None else process_environment()
        return inherited | {"OCD_HOME": str(self.home)}

    def _write_files(self, with_beat: bool) -> Path:
        for folder in (self._run, self.home / "logs", self.home / "beat"):
            make_private(folder)
        self._write_flower_conf()
        conf = self._run / "supervisord.conf"
        _write_private(conf, self._supervisord_conf(with_beat))
        return conf

    def _write_flower_conf(self) -> None:
        port = self._take_port("flower", self._settings.flower_port)
        lines = [
            "address = '127.0.0.1'",
            f"port = {port}",
            f"basic_auth = [{f'{FLOWER_USER}:{self.flower_password()}'!r}]",
            "persistent = True",
            f"db = {str(self.home / 'flower.db')!r}",
            "state_save_interval = 5000",
            "read_only = True",
            "max_tasks = 10000",
            "tasks_columns = 'name,kwargs,state,result,received,runtime,worker,uuid'",
            "",
        ]
        _write_private(self._run / "flowerconfig.py", "\n".join(lines))

    def _take_port(self, name: str, wanted: int) -> int:
        """Choose a free port and leave it in `<home>/<name>.port`."""
        port = _free_port(wanted, f"OCD_{name.upper()}_PORT")
        (self.home / f"{name}.port").write_text(f"{port}\n", encoding="utf-8")
        return port

    def _programs(self) -> dict[str, str]:
        """Return the command of each program."""
        celery = f"{sys.executable} -m celery -A tasks.app"
        found = {
            "worker": f"{celery} worker -P prefork -c {self._settings.worker_concurrency} -Q {','.join(QUEUES)} -E -n ocd@%%h "
            "--without-mingle --without-gossip -l INFO",
            "flower": f"{celery} flower --conf={self._run / 'flowerconfig.py'}",
            "site": f"{sys.executable} -m ocd.local.demo_site --port {demo_site_port(self.home)}",
            "beat": f"{celery} beat -s {self.home / 'beat' / 'schedule'} --pidfile= -l INFO",
        }
        if has_api():
            port = self._take_port("api", self._settings.api_port)
            found["api"] = f"{sys.executable} -m tasks.cli api --port {port}"
        return found

    def _supervisord_conf(self, with_beat: bool) -> str:
        parts = [
            "[supervisord]",
            f"logfile={self.home}/logs/supervisord.log",
            f"pidfile={self._run}/supervisord.pid",
            f"childlogdir={self.home}/logs",
            "logfile_maxbytes=5MB",
            "logfile_backups=2",
            "minfds=256",
            f'environment={MARK}="{self.home}",PYTHONPATH="{PROJECT}"',
            "[unix_http_server]",
            f"file={self._socket()}",
            "chmod=0700",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for name, command in self._programs().items():
            parts += [
                f"[program:{name}]",
                f"command={command}",
                f"directory={PROJECT}",
                f"autostart={'true' if name not in FOR_LONG or with_beat else 'false'}",
                "umask=077",
                "autorestart=true",
                "startsecs=1",
                "startretries=5",
                "stopwaitsecs=60",
                "stopasgroup=false",
                "killasgroup=true",
                f"stdout_logfile={self.home}/logs/{name}.log",
                "redirect_stderr=true",
                "stdout_logfile_maxbytes=5MB",
                "stdout_logfile_backups=2",
            ]
        return "\n".join(parts) + "\n"

    def _socket(self) -> Path:
        """Return supervisord's socket; a home with a long path has it in a private folder of /tmp."""
        path = self._run / "supervisor.sock"
        if len(os.fsencode(f"{path}.{os.getpid()}00000")) <= 107:
            return path
        note = self._run / "supervisor.folder"
        if not note.exists() or not Path(note.read_text(encoding="utf-8")).is_dir():
            note.write_text(tempfile.mkdtemp(prefix="ocd-sup-"), encoding="utf-8")
        return Path(note.read_text(encoding="utf-8")) / "supervisor.sock"

    def _ask(self, method: str, *arguments: Any) -> Any:
        path = str(self._socket())
        with xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(path)) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


def _marked(home: Path) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            environment: Mapping[str, str] = process.environ()
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            continue
        if environment.get(MARK) == str(home):
            found.append(process.pid)
    return found


def _quietly(deed: Any) -> None:
    import psutil

    try:
        deed()
    except psutil.NoSuchProcess:
        return


def has_api() -> bool:
    """Whether what `ocd api` needs is installed."""
    return all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn"))


def _free_port(wanted: int, variable: str) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ConfigError(f"no free port from {wanted} on; set {variable}")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
