"""Deletion: only what is past retention, only with proof, every row in an archive exactly once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import BackupMissing, ContractBroken
from ocd.core.store import FolderStore
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.ledger.windows import Daily
from ocd.lifecycle import copying
from ocd.lifecycle.backup import backup
from ocd.lifecycle.purge import plan, purge
from ocd.lifecycle.verify import verify
from tests.conftest import KEYS
from tests.factories.clock import NOW
from tests.lifecycle.conftest import TERMS
from tests.lifecycle.rows import add_approval, add_feedback, add_queries, add_query, ids

END = NOW.replace(hour=0)
OLD = END - timedelta(days=31)
TRUST = timedelta(hours=26)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def delete(conn, store, keeper_for, start_run):
    def deed(dataset=AGENT_QUERIES, *, run=None, store=store):
        run = run or start_run("lifecycle.purge", subject={"dataset": dataset.name})
        return purge(
            conn, dataset, run=run, store=store, keeper=keeper_for(run), now=NOW, terms=TERMS
        )

    return deed


@pytest.fixture
def dry(conn):
    return lambda dataset=AGENT_QUERIES: plan(
        conn, dataset, now=NOW, window=Daily().parse("2026-11-23"), terms=TERMS
    )


def archived(conn, store):
    """Ids in all committed archive chunks, as often as they are there."""
    names = conn.execute(text("select archive from ocd.purge_chunk")).scalars().all()
    conn.rollback()
    raw = b"".join(block for name in names for block in copying.read_back(store, name))
    return sorted(int(line.split(b"\t", 1)[0]) for line in raw.splitlines())


# days before the window's end; at exactly the cutoff a row is not past it
@pytest.mark.parametrize(
    ("safe_to_send", "age", "goes"),
    [
        (True, timedelta(days=30), False),
        (True, timedelta(days=30) + MOMENT, True),
        (True, timedelta(days=30) - MOMENT, False),
        (None, timedelta(days=30) + MOMENT, True),
        (False, timedelta(days=31), False),
        (False, timedelta(days=180), False),
        (False, timedelta(days=180) + MOMENT, True),
    ],
    ids=[
        "at",
        "past",
        "before",
        "unjudged is not unsafe",
        "unsafe past 30 d",
        "unsafe at 180 d",
        "unsafe past 180 d",
    ],
)
def test_feedback_goes_by_its_judgement(conn, prove, delete, safe_to_send, age, goes):
    add_feedback(conn, created_at=END - age, safe_to_send=safe_to_send)
    prove()

    assert delete(AGENT_FEEDBACK).rows == int(goes)


@pytest.mark.parametrize(
    ("latency_ms", "age", "goes"),
    [
        (200, timedelta(days=30), False),
        (200, timedelta(days=30) + MOMENT, True),
        (None, timedelta(days=30) + MOMENT, True),
        (201, timedelta(days=30) + MOMENT, False),
        (201, timedelta(days=180), False),
        (201, timedelta(days=180) + MOMENT, True),
    ],
    ids=[
        "at",
        "200 ms is not slow",
        "unknown is not slow",
        "slow past 30 d",
        "slow at 180 d",
        "slow past 180 d",
    ],
)
def test_queries_go_by_their_latency(conn, prove, delete, latency_ms, age, goes):
    add_query(conn, created_at=END - age, latency_ms=latency_ms)
    prove()

    assert delete(AGENT_QUERIES).rows == int(goes)


@pytest.mark.parametrize(
    ("status", "resolved", "goes"),
    [
        ("pending", None, False),
        ("approved", None, False),
        ("approved", timedelta(days=30), False),
        ("rejected", timedelta(days=30) + MOMENT, True),
    ],
    ids=["pending never", "resolved at an unknown time never", "at", "past"],
)
def test_approvals_go_by_when_they_were_resolved(conn, prove, delete, status, resolved, goes):
    resolved_at = None if resolved is None else END - resolved
    add_approval(conn, created_at=END - timedelta(days=900), status=status, resolved_at=resolved_at)
    prove()

    assert delete(AGENT_APPROVALS).rows == int(goes)


@pytest.mark.parametrize("deed", ["purge", "dry run"])
def test_refuses_without_a_verification(conn, delete, dry, deed):
    add_queries(conn, 3, created_at=OLD)

    with pytest.raises(BackupMissing):
        delete() if deed == "purge" else dry()

    assert len(ids(conn, "agent_queries")) == 3


def test_refuses_a_stale_verification(conn, prove, delete):
    prove("2026-11-20", verified_at=NOW - TRUST - timedelta(seconds=1))

    with pytest.raises(BackupMissing):
        delete()


def test_accepts_an_old_verification_of_the_same_night(conn, prove, delete):
    add_queries(conn, 3, created_at=OLD)
    prove(verified_at=NOW - timedelta(days=9))

    assert delete().rows == 3


def test_refuses_a_backup_that_was_not_equal(prove, delete):
    prove(is_equal=False)

    with pytest.raises(BackupMissing):
        delete()


@pytest.mark.parametrize("level", [None, 1, 2])
def test_refuses_a_backup_that_was_read_but_never_restored(conn, prove, delete, level):
    add_queries(conn, 3, created_at=NOW - timedelta(days=90))
    prove(level=level)

    with pytest.raises(BackupMissing):
        delete()


def test_a_restored_backup_counts_where_its_content_could_not_be_hashed(conn, prove, delete):
    add_queries(conn, 3, created_at=NOW - timedelta(days=90))
    prove(level=3)

    assert delete().rows == 3


def test_a_damaged_backup_stops_the_purge(conn, store, keeper_for, start_run, end, scratch, delete):
    add_queries(conn, 20, created_at=OLD)
    run = start_run("lifecycle.backup")
    report = backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    part = store.path(report.manifest).with_name("agent_queries.copy.zst")
    part.write_bytes(part.read_bytes()[:-5])
    run = start_run("lifecycle.verify")
    with pytest.raises(ContractBroken):
        verify(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS, scratch=scratch)

    with pytest.raises(BackupMissing):
        delete()

    assert len(ids(conn, "agent_queries")) == 20


def test_every_deleted_row_is_in_the_archive_exactly_once(conn, store, prove, delete):
    add_queries(conn, 2500, created_at=OLD)
    gone = ids(conn, "agent_queries")
    add_queries(conn, 300, created_at=END)
    stays = ids(conn, "agent_queries") - gone
    prove()

    report = delete()

    assert report.chunks > 1
    assert archived(conn, store) == sorted(gone)
    assert ids(conn, "agent_queries") == stays


def test_the_dry_run_counts_what_then_goes(conn, prove, delete, dry):
    add_queries(conn, 700, created_at=OLD)
    add_queries(conn, 40, created_at=END - timedelta(days=181), latency_ms=900)
    add_queries(conn, 5, created_at=OLD, latency_ms=900)
    prove()

    planned, done = dry(), delete()

    assert planned.is_dry
    assert planned.rows_by_rule == done.rows_by_rule == {"slow": 40, "fast": 700}
    assert (planned.rows, planned.predicate_sha256) == (done.rows, done.predicate_sha256)
    assert planned.oldest == END - timedelta(days=181)


def test_a_dry_run_changes_nothing(conn, store, prove, dry):
    add_queries(conn, 30, created_at=OLD)
    prove()

    dry()

    assert len(ids(conn, "agent_queries")) == 30
    assert store.list("archives") == []


def test_archives_are_private_sealed_and_expire(conn, store, prove, delete):
    add_queries(conn, 600, created_at=OLD)
    prove()

    report = delete()

    names = store.list("archives")
    expiries = dict(
        conn.execute(
            text("select name, expires_at from ocd.artifact where name like 'archives/%'")
        ).all()
    )
    assert {store.path(name).stat().st_mode & 0o777 for name in names} == {0o600}
    assert expiries == dict.fromkeys(names, NOW + timedelta(days=90))
    assert json.loads(store.path(report.archive).read_text())["rows"] == 600


class Crash(BaseException):
    """The process ends here."""


class CrashingStore(FolderStore):
    """Dies when the second archive is read back: it is written, its deletion not committed."""

    reads = 0

    def open(self, name, offset=0, length=None):
        if name.startswith("archives/"):
            self.reads += 1
            if self.reads == 2:
                raise Crash
        return super().open(name, offset, length)

    def delete(self, name):
        """Remove nothing, as a killed process does."""


def test_a_crash_between_archive_and_commit_loses_and_doubles_nothing(
    conn, store, prove, start_run, delete
):
    add_queries(conn, 1600, created_at=OLD)
    before = ids(conn, "agent_queries")
    prove()
    run = start_run("lifecycle.purge", subject={"dataset": "agent_queries"}, lease_s=0)
    with pytest.raises(Crash):
        delete(run=run, store=CrashingStore(store.root))
    assert sorted(ids(conn, "agent_queries") | set(archived(conn, store))) == sorted(before)

    heir = start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
    report = delete(run=heir)

    chunks = set(conn.execute(text("select archive from ocd.purge_chunk")).scalars())
    assert report.rows == 1600
    assert archived(conn, store) == sorted(before)
    assert set(store.list("archives")) == chunks | {report.archive}


class LyingStore(FolderStore):
    """Gives other bytes of an archive back than it was given."""

    def open(self, name, offset=0, length=None):
        for block in super().open(name, offset, length):
            yield block[:-9] + bytes(9) if name.startswith("archives/") else block


def test_rows_stay_when_the_archive_does_not_read_back(conn, store, prove, delete):
    add_queries(conn, 50, created_at=OLD)
    prove()

    with pytest.raises(ContractBroken):
        delete(store=LyingStore(store.root))

    assert len(ids(conn, "agent_queries")) == 50
    assert store.list("archives") == []


def test_nothing_past_retention_leaves_no_archive(store, prove, delete):
    prove()

    report = delete()

    assert (report.rows, report.archive) == (0, None)
    assert store.list("archives") == []
