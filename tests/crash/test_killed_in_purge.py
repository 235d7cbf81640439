"""A worker killed in the middle of a purge loses nothing and doubles nothing."""

from __future__ import annotations

import signal
import time

import psutil
import psycopg
import pytest

from ocd.core.embedded import Postgres
from ocd.core.store import FolderStore
from ocd.lifecycle import copying
from tests.crash import killed_purge
from tests.crash.kills import drill as kill_drill
from tests.shell import Shell

ROWS = 60_000


def stop_workers(home, number) -> int:
    """Signal the worker of this home: SIGKILL hits parent and children, SIGTERM the parent alone."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if process.environ().get("OCD_STACK") == str(home) and "tasks.app worker" in command:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    ids = {process.pid for process in found}
    if number == signal.SIGTERM:
        found = [process for process in found if process.ppid() not in ids]
    for process in found:
        process.send_signal(number)
    return len(found)


def wait_for_chunk(url, deadline_s=60) -> int:
    """Return how many batches a purge of agent_queries committed, as soon as it is one."""
    deadline = time.monotonic() + deadline_s
    with psycopg.connect(url, autocommit=True) as conn:
        while time.monotonic() < deadline:
            found = conn.execute(
                "select count(*) from ocd.purge_chunk c join ocd.run r on r.id = c.run_id where r.state = 'running'"
                " and c.dataset = 'agent_queries'"
            ).fetchone()
            if found and found[0]:
                return found[0]
            time.sleep(0.002)
    raise AssertionError("no purge chunk was committed in time")


def lock_later_batches(url) -> psycopg.Connection:
    """Lock a row of each batch behind the first ones: whoever deletes them waits, so a signal comes in time."""
    locker = psycopg.connect(url)
    locker.execute("set row_security = off")
    found = locker.execute("""
        select from agent_queries where id in (
          select id from (select id, row_number() over (order by id) as place from agent_queries
                          where created_at < now() - interval '31 days' and latency_ms <= 200) expired
          where place > 2000 and place % 200 = 0)
        for update
    """)
    assert found.rowcount > 10, "too few batches to stop between"
    return locker


def ids_of(url, table):
    with psycopg.connect(url) as conn:
        return {row[0] for row in conn.execute(f"select id from public.{table}")}


def outcomes(url):
    with psycopg.connect(url) as conn:
        return {
            row[0]
            for row in conn.execute(
                "select outcome from ocd.attempt a join ocd.run r on r.id = a.run_id where r.job = 'lifecycle.purge'"
            )
        }


def archived_ids(home, dataset):
    store = FolderStore(home / "artifacts")
    names = [name for name in store.list(f"archives/{dataset}") if name.endswith(".copy.zst")]
    return [
        int(line.split(b"\t", 1)[0])
        for name in names
        for line in b"".join(copying.read_back(store, name)).splitlines()
    ]


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(signal.SIGKILL, "crashed"), (signal.SIGTERM, "drained")],
    ids=["killed", "drained"],
)
def test_a_purge_stopped_half_way_ends_done_with_every_row_archived_once(
    shell: Shell, number, outcome
):
    shell.environment = {
        "OCD_LEASE_S": "3",
        "OCD_PURGE_BATCH_ROWS": "500",
        "OCD_WORKER_CONCURRENCY": "1",
    }
    shell("seed", "--rows", str(ROWS))
    shell("db", "status")
    night = shell.start("night", "--json")
    try:
        postgres = Postgres(shell.home)
        while postgres.pid() is None:
            time.sleep(0.05)
        time.sleep(0.5)
        url = postgres.url("worker")
        before = {
            table: ids_of(url, table)
            for table in ("agent_approvals", "agent_feedback", "agent_queries")
        }
        with lock_later_batches(postgres.url("owner")):
            wait_for_chunk(url)
            assert stop_workers(shell.home, number) > 0
            killed_at = time.monotonic()
            time.sleep(1)  # the signal arrives while there is still something to wait for
        output, _ = night.communicate(timeout=90)
        took_s = time.monotonic() - killed_at
    finally:
        night.kill()

    assert night.returncode == 0, output
    assert took_s < 60
    with shell.attached():
        runs = shell.json("runs", "--job", "lifecycle.purge")
        assert {run["state"] for run in runs} == {"done"}
        url = postgres.url("worker")
        assert outcome in outcomes(url), "the signal came too late to matter"
        for table, ids in before.items():
            left, archived = ids_of(url, table), archived_ids(shell.home, table)
            assert len(archived) == len(set(archived)), "a row was archived twice"
            assert left | set(archived) == ids, "a row was lost"
            assert not left & set(archived), "an archived row is still there"


def test_a_purge_killed_at_random_points_loses_and_doubles_nothing():
    with killed_purge.deed() as deed:
        kills = kill_drill(deed, rounds=5, seed=5)

    assert sum(kill.is_in_time for kill in kills) > 2, "most kills came too late to matter"
