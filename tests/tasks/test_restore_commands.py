"""Restores, unpurges and erasures as people type them; and that whoever is erased stands nowhere afterwards."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import threading
from dataclasses import replace

import psutil
import psycopg
import pytest

from ocd.core.embedded import Postgres, Redis
from ocd.core.settings import PROJECT
from ocd.core.store import FolderStore
from ocd.lifecycle import copying

TALK = "talk-quagga-5e11"
PLANTED = f"""
    insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at)
      select 'about {TALK}', '{{}}', '{TALK}', 'support', 1, now() - i * interval '20 days' from generate_series(0, 3) i;
    insert into agent_feedback (conversation_id, input_text, model_draft) values ('{TALK}', 'from {TALK}', 'm');
    insert into decision_log (scope, actor, action, external_ref) values ('ops', 'a', 'b', 'chatwoot:{TALK}');
    insert into observability_logs (message, metadata) values ('m', '{{"conversation_id": "{TALK}"}}');
"""


def worker_url(shell) -> str:
    shell("db", "status")
    return Postgres(shell.home).url("worker")


def query(shell, statement):
    with psycopg.connect(worker_url(shell)) as conn:
        return conn.execute(statement).fetchall()


def purge_of(shell, dataset) -> dict:
    runs = shell.json("runs", "--job", "lifecycle.purge", "--limit", "200")
    return next(one for one in runs if one["subject"] == {"dataset": dataset} and one["rows"])


def encoded(text: str) -> list[bytes]:
    """The text as it may stand somewhere: plain, in base64 at each of its three places, in hex, in UTF-16."""
    found = [text.encode(), text.encode().hex().encode(), text.encode("utf-16-le")]
    for pad in range(3):
        whole = base64.b64encode(b"x" * pad + text.encode())
        found.append(whole[4 if pad else 0 : -4])
    return found


def places(shell, said: list[str]) -> dict[str, bytes]:
    """Everything that a home keeps, as bytes, by place; backups as they would come back."""
    with psycopg.connect(worker_url(shell)) as conn:
        tables = conn.execute("""
            select format('%I.%I', schemaname, tablename) from pg_tables
            where schemaname in ('public', 'landing', 'ocd') and tablename <> 'alembic_version'
              and has_table_privilege(format('%I.%I', schemaname, tablename), 'select')
        """).fetchall()
        dump = [
            row for (table,) in tables for (row,) in conn.execute(f"select t::text from {table} t")
        ]
    redis = Redis(shell.home)
    keys = subprocess.run(
        [sys.executable, "-c", _REDIS, redis.url()], capture_output=True, check=True, cwd=PROJECT
    ).stdout
    store = FolderStore(shell.home / "artifacts")
    names = [name for name in store.list("") if not name.startswith("backups/")]
    objects = [store.path(name).read_bytes() + name.encode() for name in names]
    objects += [b"".join(copying.read_back(store, name)) for name in names if name.endswith(".zst")]
    return {
        "database": "\n".join(dump).encode(),
        "redis": keys
        + b"".join(one.read_bytes() for one in (shell.home / "redis").rglob("*") if one.is_file()),
        "logs": b"".join(one.read_bytes() for one in shell.home.rglob("*.log*") if one.is_file()),
        "postgres log": (shell.home / "postgres" / "server.log").read_bytes(),
        "store": b"\n".join(objects),
        "flower": flower(shell),
        "said": "\n".join(said).encode(),
    }


_REDIS = """
import sys, redis
from urllib.parse import urlsplit
client = redis.Redis(unix_socket_path=urlsplit(sys.argv[1]).path)
for key in client.keys("*"):
    sys.stdout.buffer.write(key + (client.dump(key) or b""))
"""


def flower(shell) -> bytes:
    port = int((shell.home / "flower.port").read_text())
    password = (shell.home / "secrets" / "flower").read_text().strip()
    token = base64.b64encode(f"ocd:{password}".encode()).decode()
    said = b""
    for path in ("/api/tasks", "/tasks"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
        said += connection.getresponse().read()
        connection.close()
    return said


class ProcessList(threading.Thread):
    """What the process list said while it ran."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.said: set[str] = set()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            for process in psutil.process_iter(["cmdline"]):
                self.said.add(" ".join(process.info["cmdline"] or []))


def erase(shell, *lines: str, proof: str = "email-and-order", code: int = 0):
    return subprocess.run(
        [sys.executable, "-m", "tasks.cli", "erase", "request", "--proof", proof, "--json"],
        input="\n".join(lines),
        env=shell.env(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=PROJECT,
    )


@pytest.fixture(scope="module")
def planted(night):
    """A night in which rows of one conversation were copied and partly purged."""
    with psycopg.connect(worker_url(night)) as conn:
        conn.execute(PLANTED)
    for job in ("lifecycle.backup", "lifecycle.verify"):
        night("run", job, "--force")
    night("run", "lifecycle.purge", "--dataset", "agent_queries", "--force")
    return night


def test_who_was_erased_stands_nowhere_that_a_home_keeps(planted):
    planted = replace(planted, is_fresh=True)
    listing, said = ProcessList(), []
    listing.start()
    number = str(json.loads(erase(planted, f"conversation:{TALK}").stdout)["erasure"])
    said.append(planted("erase", "list").stdout)
    dry = planted("erase", "run", number, "--dry-run")
    said += [dry.stdout, dry.stderr]
    assert any(TALK.encode() in planted_at for planted_at in places(planted, said).values())

    done = planted("erase", "run", number)

    (run,) = [
        one for one in planted.json("runs", "--job", "lifecycle.erase") if one["kind"] == "real"
    ]
    said += [done.stdout, done.stderr, planted("erase", "list", "--all").stdout]
    said += [
        planted("show", str(run["id"]), "--json").stdout,
        planted("logs", str(run["id"])).stdout,
    ]
    said.append(planted("evidence", "--since", "24h", "--md").stdout)
    listing.done.set()
    listing.join()
    found = places(planted, [*said, *listing.said])
    assert {
        place for place, content in found.items() if any(one in content for one in encoded(TALK))
    } == set()
    # The net holds water: each place was looked at, and says what it may.
    assert b"lifecycle.erase" in found["redis"] + found["flower"]
    assert b"receipt" in found["database"]
    assert b"erase run" in found["said"]
    evidence = json.loads(planted("show", str(run["id"]), "--json").stdout)["evidence"]
    assert evidence["tables"] == {
        "agent_queries": 2,
        "agent_feedback": 1,
        "decision_log": 1,
        "observability_logs": 1,
    }
    assert evidence["archived"] == {"agent_queries": 2}
    assert len(evidence["backups"]) == 1


def test_a_purge_is_undone_and_the_rows_stay(planted):
    run = purge_of(planted, "agent_feedback")
    before = query(planted, "select count(*) from agent_feedback")[0][0]

    (dry,) = planted.json("unpurge", str(run["id"]), "--dry-run")
    (done,) = planted.json("unpurge", str(run["id"]))

    after = query(planted, "select count(*) from agent_feedback")[0][0]
    assert dry["evidence"]["returned"] == done["evidence"]["returned"]
    assert (done["rows"], after) == (run["rows"], before + run["rows"])
    held = planted.json("hold", "list")
    assert [one["id"] for one in held] == [done["evidence"]["hold"]]


def test_some_rows_come_back_into_a_scratch_server_that_stays_up(planted):
    said = planted.json(
        "restore", "--table", "agent_queries", "--where", "latency_ms > 200", "--into", "scratch"
    )
    try:
        url = (planted.home / said["url_file"]).read_text().strip()
        with psycopg.connect(url) as conn:
            found = conn.execute(
                "select count(*), min(latency_ms) > 200 from agent_queries"
            ).fetchone()
        assert found == (said["rows"], True)
        (kept,) = planted.json("scratch", "list")
        assert kept["is_running"]
    finally:
        planted("scratch", "drop", kept["name"])
    assert planted.json("scratch", "list") == []


def test_a_condition_from_standard_input_is_on_no_command_line(planted):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tasks.cli",
            "restore",
            "--table",
            "agent_feedback",
            "--where",
            "-",
            "--into",
            "live",
            "--json",
        ],
        input="safe_to_send is false",
        env=planted.env(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=PROJECT,
    )

    (run,) = json.loads(done.stdout)
    assert run["state"] == "done"
    assert query(
        planted, "select count(*) from ocd.restore_request where condition is not null"
    ) == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["restore", "--where", "true"], "--where is about one table"),
        (["restore", "--table", "agent_querys"], "did you mean 'agent_queries'"),
        (["restore", "--backup", "9999"], "unknown backup"),
        (["restore", "--into", "live", "--yes-into-live", "other"], "--yes-into-live ocd"),
        (["unpurge", "1"], "run 1 is no purge"),
        (["scratch", "drop", "x"], "unknown scratch server"),
        (["erase", "acknowledge", "99"], "unknown"),
        (["erase", "withdraw", "99"], "unknown"),
        (["erase", "request", "--proof", "email-and-order", "--received", "soon"], "--received"),
        (["erase", "request", "--proof", "email-and-order", "--received", "2999-01-01"], "future"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_says_what_to_do(planted, arguments, said):
    done = planted(*arguments, code=2)

    assert said in done.stderr


def test_an_address_alone_is_refused_at_the_shell(planted):
    done = erase(planted, f"conversation:{TALK}", proof="email")

    assert done.returncode == 2
    assert "number of an order" in done.stderr
    assert TALK not in done.stdout + done.stderr


def test_a_configured_database_is_written_to_only_by_its_name(task_layer, monkeypatch):
    """Not our own server: a person has to name it."""
    from ocd.core.errors import PolicyRefused
    from tasks import runtime
    from tasks.commands.restore import _confirmed

    with runtime.engine().connect() as conn:
        name = conn.exec_driver_sql("select current_database()").scalar_one()
        with pytest.raises(PolicyRefused, match=f"--yes-into-live {name}"):
            _confirmed(conn, None, dry_run=False)
        with pytest.raises(PolicyRefused, match=f"--yes-into-live {name}"):
            _confirmed(conn, "ocd", dry_run=False)
        assert _confirmed(conn, name, dry_run=False) == name
        assert _confirmed(conn, None, dry_run=True) == name
