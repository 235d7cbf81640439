"""A worker killed in the middle of a cleansing loses nothing, and everything can be taken back."""

from __future__ import annotations

import signal
import time

import psycopg
import pytest

from ocd.core.embedded import Postgres
from tests.crash.test_killed_in_purge import stop_workers
from tests.shell import Shell

ROWS = 18_000
FILL = """
    insert into landing.chatwoot_conversations (account_id, conversation_id, status, contact_name, fetched_at)
    select 1, 5000000 + n, case when n % 4 = 0 then 'Closed ' else 'open' end, ' Ann  ' || n, now()
    from generate_series(1, {rows}) n
"""


@pytest.fixture
def desk(shell: Shell):
    """A home with faulty conversations and a worker."""
    shell.environment = {"OCD_LEASE_S": "3", "OCD_WORKER_CONCURRENCY": "1"}
    shell.keep_up()
    with psycopg.connect(Postgres(shell.home).url("owner"), autocommit=True) as owner:
        owner.execute(FILL.format(rows=ROWS))
    return shell


def content(home):
    with psycopg.connect(Postgres(home).url("worker")) as conn:
        rows = conn.execute("select c::text from landing.chatwoot_conversations c order by id")
        return [row[0] for row in rows]


def changes(home):
    with psycopg.connect(Postgres(home).url("worker")) as conn:
        return [row[0] for row in conn.execute("select row_key from ocd.cleansing_change")]


def test_a_cleansing_killed_half_way_mends_every_row_once_and_can_be_taken_back(desk):
    before = content(desk.home)
    planned = desk.json("quality", "cleanse", "plan", "chatwoot_conversations")
    assert "approve" in desk("quality", "cleanse", "apply", planned["hash"], code=1).stdout
    (asked,) = desk.json("approvals")
    applying = desk.start("approve", str(asked["run_id"]), "--reason", "a drill", "--json")
    try:
        deadline = time.monotonic() + 60
        while not changes(desk.home):
            assert time.monotonic() < deadline, "nothing was mended in time"
            time.sleep(0.002)
        assert stop_workers(desk.home, signal.SIGKILL) > 0
        output, _ = applying.communicate(timeout=90)
    finally:
        applying.kill()

    assert applying.returncode == 0, output
    shown = desk.json("show", str(asked["run_id"]))
    assert "crashed" in {one["outcome"] for one in shown["attempts"]}, "the kill came too late"
    mended = changes(desk.home)
    assert planned["rows"] == ROWS == len(mended) == len(set(mended))
    assert desk.json("quality", "cleanse", "plan", "chatwoot_conversations")["rows"] == 0

    (reverted,) = desk.json("quality", "cleanse", "revert", str(asked["run_id"]))

    assert (reverted["evidence"]["rows"], reverted["evidence"]["conflicts"]) == (ROWS, 0)
    assert content(desk.home) == before
