"""What is past its time is removed, nothing else is, and a crash in between leaves nothing half."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import LeaseLost, StoreUnavailable
from ocd.core.store import FolderStore
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import claims, holds
from ocd.ledger.evidence import to_evidence
from ocd.ledger.holds import Held
from ocd.lifecycle import rotate as rotation
from ocd.lifecycle.backup import backup
from ocd.lifecycle.rotate import Rotation
from ocd.lifecycle.rotation_policy import Keep
from ocd.lifecycle.verify import verify
from tests.conftest import KEYS

KEEP_ONE = Rotation(Keep(1, 0, 0, 0), hold=timedelta(days=7))
WINDOWS = ("2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23")


@pytest.fixture
def copies(conn, db, store, keeper_for, start_run, end, scratch):
    """Four nights of backups, the first verified; returns their manifests."""
    made = []
    for window in WINDOWS:
        run = start_run("lifecycle.backup", window)
        made.append(backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS).manifest)
        end(run)
        if window == WINDOWS[0]:
            proof = start_run("lifecycle.verify", window)
            verify(
                conn, run=proof, store=store, keeper=keeper_for(proof), keys=KEYS, scratch=scratch
            )
            end(proof)
    return made


def the_time(conn):
    now = conn.execute(text("select clock_timestamp()")).scalar_one()
    conn.rollback()
    return now


@pytest.fixture
def turn(conn, store, start_run, end):
    """Rotate in a run of its own; returns the report."""

    def deed(rotation_=KEEP_ONE, *, store=store, later=timedelta(), run=None):
        run = run or start_run("lifecycle.rotate")
        report = rotation.rotate(
            conn, run=run, store=store, rotation=rotation_, now=the_time(conn) + later
        )
        end(run)
        return report

    return deed


def manifests(store):
    return [name for name in store.list("backups") if name.endswith("manifest.json")]


def test_what_rotation_does_not_keep_is_gone_from_store_and_ledger(conn, store, copies, turn):
    report = turn()

    assert report.backups_removed == (copies[2], copies[1])
    assert manifests(store) == [copies[0], copies[3]]
    rows = conn.execute(
        text("select name, removed_at, deleted_at from ocd.artifact where name like 'backups/%'")
    ).all()
    there = set(store.list("backups"))
    assert {row.name for row in rows if row.removed_at is None} == there
    assert all(row.deleted_at is not None for row in rows if row.name not in there)


def test_a_dry_run_says_what_the_real_one_does(conn, store, copies, turn):
    before = store.list("")

    planned = rotation.plan(conn, store=store, rotation=KEEP_ONE, now=the_time(conn))
    assert store.list("") == before
    done = turn()

    assert planned.is_dry
    for name in ("backups_removed", "files_removed", "orphans_removed", "bytes_freed"):
        assert getattr(planned, name) == getattr(done, name), name


def test_the_newest_verified_backup_outlives_its_expiry(store, copies, turn):
    report = turn(later=timedelta(days=1000))

    assert manifests(store) == [copies[0]]
    assert report.backups_kept == {"newest verified": 1}


def test_while_a_hold_is_open_no_backup_goes(conn, store, copies, turn):
    holds.place(conn, AGENT_QUERIES, Held(), reason="case 7", placed_by="test")
    conn.commit()

    assert turn().backups_removed == ()
    assert manifests(store) == copies


def test_a_backup_that_a_purge_leans_on_stays_as_long_as_it_may(
    conn, store, copies, start_run, end, turn
):
    """The purge's night, and the copy that was proved when it began."""
    run = start_run("lifecycle.purge", WINDOWS[1], subject={"dataset": "agent_queries"})
    conn.execute(
        text("""
            insert into ocd.purge_chunk (run_id, generation, number, dataset, first_key, last_key, rows, archive,
                                         stored_bytes, raw_sha256, stored_sha256)
            values (:id, 1, 1, 'agent_queries', 1, 2, 2, 'archives/x', 1, '', '')
        """),
        {"id": run.id},
    )
    conn.commit()
    end(run)

    assert turn().backups_removed == (copies[2],)
    assert turn(
        later=timedelta(days=8), run=start_run("lifecycle.rotate", WINDOWS[0])
    ).backups_removed == (copies[1],)


def test_a_purge_that_is_not_over_keeps_its_night(conn, store, copies, start_run, turn):
    start_run("lifecycle.purge", WINDOWS[2], subject={"dataset": "agent_queries"})

    assert turn().backups_removed == (copies[1],)


def add_archive(conn, store, keeper, dataset, window):
    stored = store.put(f"archives/{dataset}/{window}/run-1-g1-f1-000001.copy.zst", b"rows")
    keeper.index(conn, "lifecycle.purge", "archive", stored)
    conn.commit()
    return stored.name


def test_archives_expire_unless_their_table_is_held(conn, store, keeper_for, start_run, turn):
    keeper = keeper_for(start_run("lifecycle.purge"))
    held = add_archive(conn, store, keeper, "agent_queries", "2026-01-01")
    free = add_archive(conn, store, keeper, "agent_feedback", "2026-01-01")
    holds.place(conn, AGENT_QUERIES, Held(), reason="case 7", placed_by="test")
    conn.commit()

    assert turn(later=timedelta(days=30)).files_removed == 0
    assert (
        turn(
            later=timedelta(days=1000), run=start_run("lifecycle.rotate", "2026-11-22")
        ).files_removed
        == 1
    )

    assert store.list("archives") == [held]
    assert store.size(free) is None


def lay(store, name, *, days):
    store.put(name, b"bytes of a run that crashed")
    path = store.path(name)
    then = path.stat().st_mtime - days * 86_400
    os.utime(path, (then, then))


def test_orphans_of_our_own_runs_go_after_a_day(conn, store, start_run, end, turn):
    run = start_run("lifecycle.backup", "2026-11-20")
    end(run)
    ours = f"backups/2026-11-20/run-{run.id}-g1-f1"
    lay(store, f"{ours}/agent_queries.copy.zst", days=2)
    lay(store, f"{ours}/agent_feedback.copy.zst.partial", days=2)
    lay(store, f"{ours}/agent_approvals.copy.zst", days=0.5)
    others = [
        "backups/2026-11-20/run-99999-g1-f1/manifest.json",  # of a ledger that is no more
        f"backups/2020-01-01/run-{run.id}-g1-f1/manifest.json",
        "backups/notes.txt",
        "holiday.jpg",
    ]
    for name in others:
        lay(store, name, days=900)

    assert turn().orphans_removed == 2

    assert store.list("") == sorted([f"{ours}/agent_approvals.copy.zst", *others])


class Dying(FolderStore):
    """A store that goes away after some deletions."""

    left = 5

    def delete(self, name):
        if self.left == 0:
            raise StoreUnavailable("away")
        self.left -= 1
        super().delete(name)


def test_a_rotation_that_dies_half_way_is_finished_by_the_next(
    conn, store, copies, turn, start_run
):
    with pytest.raises(StoreUnavailable):
        turn(store=Dying(store.root))
    # What is marked is no longer counted as kept, whether its bytes are there or not.
    marked = conn.execute(
        text(
            "select count(*) from ocd.artifact where removed_at is not null and deleted_at is null"
        )
    ).scalar_one()
    conn.rollback()
    assert marked > 0
    assert copies[2] not in [one["manifest"] for one in rotation.list_backups(conn)]

    turn(run=start_run("lifecycle.rotate", "2026-11-22"))

    assert manifests(store) == [copies[0], copies[3]]
    assert len({name.rsplit("/", 1)[0] for name in store.list("backups")}) == 2


@pytest.mark.parametrize("deletions", [0, 1, 30, 31, 40])
def test_a_rotation_that_is_taken_over_tells_of_all_that_it_removed(
    conn, db, store, copies, turn, start_run, deletions
):
    wanted = rotation.plan(conn, store=store, rotation=KEEP_ONE, now=the_time(conn))
    run = start_run("lifecycle.rotate", lease_s=0)
    dying = Dying(store.root)
    dying.left = deletions
    with pytest.raises(StoreUnavailable):
        turn(store=dying, run=run)
    conn.rollback()

    report = turn(run=claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30))

    assert replace(report, is_dry=True) == wanted


def test_a_rotation_that_was_done_but_not_told_is_told_by_the_next_try(
    conn, db, store, copies, start_run
):
    run = start_run("lifecycle.rotate", lease_s=0)
    report = rotation.rotate(conn, run=run, store=store, rotation=KEEP_ONE, now=the_time(conn))

    heir = claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30)

    assert to_evidence(heir.settled) == to_evidence(report)


def test_a_lost_lease_marks_nothing(conn, store, copies, start_run, turn):
    zombie = start_run("lifecycle.rotate", lease_s=0)
    start_run("lifecycle.rotate")

    with pytest.raises(LeaseLost):
        turn(run=zombie)

    assert manifests(store) == copies
    assert (
        conn.execute(
            text("select count(*) from ocd.artifact where removed_at is not null")
        ).scalar_one()
        == 0
    )
