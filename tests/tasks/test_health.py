"""`ocd status`, `ocd dead`, `ocd incidents`: what a person sees of a ledger in which much is wrong."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.db import now_of
from ocd.core.embedded import Redis, make_private
from ocd.core.settings import PROJECT
from ocd.ledger import backfills, claims, enqueue, incidents, pauses, reconcile
from ocd.ledger.backfills import Plan, Reprocess
from ocd.ledger.claims import Ending
from ocd.ledger.enqueue import Order
from ocd.ledger.states import State
from ocd.ledger.windows import Daily
from tests.shell import Shell, fresh_home

RETRY = Ending(
    State.QUEUED,
    "retry",
    error_class="SourceUnavailable",
    error_message="no connection",
    traceback='  File "ocd/lifecycle/verify.py", line 88, in verify\n    with scratch() as url:\n',
)
REFUSED = Ending(
    State.REFUSED,
    "refused",
    error_class="BackupMissing",
    error_message="agent_queries: no verified backup [newer] than 2026-11-23T02:00Z, " * 3,
)


@pytest.fixture
def shell(tmp_path, db):
    """A shell on the test's own database, with a Redis that is not there."""
    made = Shell(tmp_path / ".ocd")
    made.environment = {"OCD_DATABASE_URL": db.url, "OCD_REDIS_URL": "redis://127.0.0.1:1/0"}
    return made


@pytest.fixture
def dead_run(db, start_run):
    """A run that failed once, then lost its worker twice; returns its id."""
    run = start_run("lifecycle.verify", "2026-11-20")
    with db.engine.begin() as conn:
        conn.execute(
            text("""
                insert into ocd.log_line (run_id, fence, at, level, event, fields)
                values (:id, 1, clock_timestamp(), 'info', 'attempt_started', '{"attempt": 1}')
            """),
            {"id": run.id},
        )
        claims.finish(conn, run, RETRY)
    for _ in range(2):
        start_run("lifecycle.verify", "2026-11-20", lease_s=0)
        reconcile.sweep(db.engine, lambda run_id: None)
    return run.id


@pytest.fixture
def wrong(db, start_run, dead_run):
    """Beside a dead run: a refused one, one that runs, one that is late, a pause, a backfill, a silent beat."""
    reconcile.heard(db.engine, "beat")
    refused = start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
    running = start_run("warehouse.rollup", "2026-11-22")
    late = Order("quality.check", Daily().parse("2026-11-20"), "short", deadline=timedelta(hours=1))
    with db.engine.begin() as conn:
        claims.finish(conn, refused, REFUSED)
        conn.execute(
            text("""
                update ocd.run set progress_done = 42, progress_total = 100, progress_note = 'facts'
                where id = :id
            """),
            {"id": running.id},
        )
        enqueue.add(conn, late)
        pauses.pause(conn, "sources.refresh_ga", reason="quota [talks]", paused_by="ada")
        conn.execute(text("update ocd.heartbeat set beat_at = beat_at - interval '1 hour'"))
    reconcile.sweep(db.engine, lambda run_id: None)
    with db.engine.begin() as conn:  # after the sweep, which ends a backfill without runs
        backfills.open_backfill(
            conn, Plan("warehouse.rollup", "2026-11-01", "2026-11-07", Reprocess.MISSING, 4)
        )


def on_terminal(shell, columns, *arguments):
    """Run `ocd …` on a terminal of that many columns; returns what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "tasks.cli", *arguments],
        env=shell.env(TERM="xterm-256color"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=PROJECT,
    ):
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other end was closed
            pass
    os.close(ours)
    return shown.decode()


def plain(shown):
    return re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "")


def test_a_new_system_says_what_is_missing(shell):
    said = shell("status").stdout

    assert "beat never" in said
    assert "Redis does not answer" in said
    assert "lifecycle.purge" in said
    assert "all is well" not in said


def test_a_look_starts_no_redis():
    """Of its home's own servers a look needs PostgreSQL only."""
    with fresh_home() as embedded:
        said = embedded("status").stdout

        assert "Redis does not answer" in said
        assert not (embedded.home / "redis").exists()


def test_a_system_in_which_everyone_is_heard_is_well(tmp_path, db, shell):
    home = tmp_path / "redis-home"
    make_private(home)
    redis = Redis(home)
    redis.start()
    for name in ("beat", "canary", "reconciler"):
        reconcile.heard(db.engine, name)

    said = shell("status", OCD_REDIS_URL=redis.url()).stdout

    redis.stop()
    assert "all is well" in said


def test_status_tells_all_that_is_wrong(shell, wrong):
    found = shell.json("status")

    assert found["is_well"] is False
    assert found["heard_s"]["beat"] >= 3600
    assert found["heard_s"]["canary"] is None
    assert found["open"] == {"waiting": 0, "queued": 1, "running": 1}
    jobs = {row["job"]: row for row in found["jobs"]}
    assert jobs["quality.check"]["late"] == 1
    assert jobs["sources.refresh_ga"]["is_paused"] is True
    assert jobs["lifecycle.verify"]["runs"] == {"dead": 1}
    assert {run["state"] for run in found["needs_a_person"]} == {"dead", "refused"}
    assert [(run["job"], run["done"]) for run in found["running"]] == [("warehouse.rollup", 42)]
    assert {one["kind"] for one in found["incidents"]} == {"dead", "refused", "late", "silent"}
    assert [one["reason"] for one in found["pauses"]] == ["quota [talks]"]
    assert [one["job"] for one in found["backfills"]] == ["warehouse.rollup"]
    assert {row["queue"]: row["queued"] for row in found["queues"]}["short"] == 1


def test_status_fits_a_terminal_of_100_columns_and_is_coloured(shell, wrong):
    shown = on_terminal(shell, 100, "status")

    lines = plain(shown).splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b[1;31m1 critical" in shown
    whole = "\n".join(lines)
    assert "quota [talks]" in whole
    assert re.search(r"sources.refresh_ga +never +paused", whole)
    assert "42/100 (42 %) facts" in whole
    assert re.search(r"refused +lifecycle.purge agent_queries: BackupMissing.*…", whole)
    assert "2026-11-01 … 2026-11-07" in whole


@pytest.mark.parametrize("command", ["incidents", "dead"])
def test_the_lists_fit_too(shell, wrong, command):
    lines = plain(on_terminal(shell, 100, command)).splitlines()

    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("kind", "severities"),
    [
        ("refused", {"warning": 1, "error": 0, "critical": 0}),
        ("failed", {"warning": 1, "error": 1, "critical": 0}),
        ("silent", {"warning": 1, "error": 1, "critical": 1}),
    ],
)
def test_status_fails_on_a_severity_only_when_asked(shell, db, start_run, kind, severities):
    with db.engine.begin() as conn:
        if kind == "silent":
            incidents.open_silent(conn, "beat", since=now_of(conn))
        else:
            ending = Ending(State(kind), kind, error_class="X", error_message="m")
            claims.finish(conn, start_run(), ending)

    codes = {
        severity: shell("status", "--fail-on", severity, code=None).returncode
        for severity in severities
    }

    assert shell("status", code=None).returncode == 0
    assert codes == severities


def test_dead_runs_come_with_all_they_left(shell, dead_run):
    (letter,) = shell.json("dead")
    said = shell("dead").stdout

    assert (letter["id"], letter["error_class"]) == (dead_run, "WorkerLost")
    assert [one["outcome"] for one in letter["attempts"]] == ["retry", "crashed", "crashed"]
    assert [line["event"] for line in letter["log"]] == ["attempt_started"]
    for word in (
        "retry SourceUnavailable",
        'File "ocd/lifecycle/verify.py", line 88',
        "attempt_started attempt=1",
        f"ocd rerun {dead_run}",
        "ocd rerun --dead",
    ):
        assert word in said


def test_dead_runs_are_of_one_job_if_asked(shell, dead_run):
    assert shell.json("dead", "--job", "lifecycle.purge") == []
    assert "no dead runs" in shell("dead", "--job", "lifecycle.purge").stdout
    assert "did you mean 'lifecycle.verify'" in shell("dead", "--job", "verify", code=2).stderr


def test_a_replayed_run_is_no_longer_among_the_dead(shell, db, dead_run):
    with db.engine.begin() as conn:
        enqueue.rerun(conn, dead_run, force=False, requested_by="ada")

    assert shell.json("dead") == []


def test_an_incident_is_closed_by_hand(shell, dead_run):
    (incident,) = shell.json("incidents")

    shell("incidents", "close", str(incident["id"]))

    assert shell.json("incidents") == []
    assert "--all" in shell("incidents").stdout
    (closed,) = shell.json("incidents", "--all", "--job", "lifecycle.verify")
    assert closed["closed_at"] is not None
    assert "closed" in shell("incidents", "--all").stdout
    assert "no open incident" in shell("incidents", "close", str(incident["id"]), code=2).stderr


def test_check_says_when_a_channel_cannot_work(shell):
    """Apprise is installed here, so this process is told that it is not."""
    without = (
        "import sys; sys.modules['apprise'] = None; "
        "from tasks.cli import main; main(['check', '--json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", without],
        env=shell.env(OCD_NOTIFY_URLS="json://h/s3cret"),
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert '"check": "notifications"' in done.stdout
    assert "ocd[notify]" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


def test_check_says_where_news_goes(shell):
    rows = shell.json("check", code=2, OCD_NOTIFY_URLS="json://h/s3cret")

    (row,) = [row for row in rows if row["check"] == "notifications"]
    assert row == {"check": "notifications", "ok": True, "detail": "1 channel(s) of Apprise"}
