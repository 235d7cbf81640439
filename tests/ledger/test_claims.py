"""Claims, fences and endings against a real database."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from sqlalchemy import text

from ocd.core.errors import LeaseLost, RunCancelled, RunDrained
from ocd.ledger import claims, enqueue, reconcile
from ocd.ledger.claims import Ending
from ocd.ledger.enqueue import Order, What
from ocd.ledger.evidence import Settled, to_evidence
from ocd.ledger.states import State
from ocd.ledger.windows import Daily

NIGHT = Daily().parse("2026-11-23")
ORDER = Order("lifecycle.backup", NIGHT, "long")
DONE = Ending(State.DONE, "done", rows=3, evidence={"type": "T", "version": 1})


@dataclass(frozen=True)
class Counted:
    version: ClassVar[int] = 1
    rows: int

    @property
    def summary(self):
        return f"{self.rows} counted"


def place(db, order=ORDER, **options):
    with db.engine.begin() as conn:
        return enqueue.add(conn, order, **options)


def take(db, run_id, lease_s=30.0):
    with db.engine.connect() as conn:
        job = conn.execute(text("select job from ocd.run where id = :id"), {"id": run_id}).scalar()
    return claims.claim(db.engine, run_id, job=job, worker="w", lease_s=lease_s)


def end(db, run, ending=DONE):
    with db.engine.begin() as conn:
        return claims.finish(conn, run, ending)


def state_of(db, run_id):
    with db.engine.connect() as conn:
        return conn.execute(
            text("select state from ocd.run where id = :id"), {"id": run_id}
        ).scalar()


def test_the_same_window_is_one_run_however_often_it_is_ordered(db):
    first = place(db)

    second = place(db)

    assert (first.what, second.what, second.run_id) == (What.NEW, What.OPEN, first.run_id)


def test_a_run_is_claimed_by_one_worker_only(db):
    run_id = place(db).run_id

    first, second = take(db, run_id), take(db, run_id)

    assert first is not None
    assert second is None


def test_a_done_run_cannot_be_claimed_again(db):
    run_id = place(db).run_id
    end(db, take(db, run_id))

    assert take(db, run_id) is None


def test_an_expired_lease_is_taken_over_with_a_higher_fence(db):
    run_id = place(db).run_id
    zombie = take(db, run_id, lease_s=0)

    heir = take(db, run_id)

    assert heir.fence == zombie.fence + 1


def test_a_zombie_cannot_commit_a_batch(db):
    run_id = place(db).run_id
    zombie = take(db, run_id, lease_s=0)
    take(db, run_id)

    with db.engine.connect() as conn, pytest.raises(LeaseLost), zombie.batch(conn):
        conn.execute(text("insert into ocd.heartbeat (name) values ('zombie')"))

    with db.engine.connect() as conn:
        assert conn.execute(text("select count(*) from ocd.heartbeat")).scalar() == 0


def test_a_zombie_cannot_end_the_run(db):
    run_id = place(db).run_id
    zombie = take(db, run_id, lease_s=0)
    take(db, run_id)

    with pytest.raises(LeaseLost):
        end(db, zombie)


def test_cancel_stops_a_running_run_after_its_batch(db):
    run = take(db, place(db).run_id)
    with db.engine.begin() as conn:
        enqueue.cancel(conn, run.id)

    with db.engine.connect() as conn, pytest.raises(RunCancelled), run.batch(conn) as batch:
        conn.execute(text("insert into ocd.heartbeat (name) values ('kept')"))
        batch.progress(1, 2)

    with db.engine.connect() as conn:
        assert conn.execute(text("select count(*) from ocd.heartbeat")).scalar() == 1


def test_a_step_waits_until_every_step_before_it_is_done(db):
    backup = place(db).run_id
    verify = place(db, Order("lifecycle.verify", NIGHT, "long"), after=(backup,)).run_id
    assert state_of(db, verify) == State.WAITING

    readied = end(db, take(db, backup))

    assert readied.ready == (verify,)
    assert state_of(db, verify) == State.QUEUED


def test_a_step_after_a_failed_one_stays_waiting(db):
    backup = place(db).run_id
    verify = place(db, Order("lifecycle.verify", NIGHT, "long"), after=(backup,)).run_id

    end(db, take(db, backup), Ending(State.FAILED, "failed", error_class="X", error_message="m"))

    assert state_of(db, verify) == State.WAITING


def test_a_failed_run_is_taken_up_again_with_its_history(db):
    run_id = place(db).run_id
    end(db, take(db, run_id), Ending(State.FAILED, "failed", error_class="X", error_message="m"))

    placed = place(db, retry_ended=True)

    assert (placed.run_id, placed.what) == (run_id, What.REQUEUED)
    assert take(db, run_id).generation == 2
    with db.engine.connect() as conn:
        assert conn.execute(text("select count(*) from ocd.attempt")).scalar() == 2


def test_a_dry_run_never_satisfies_the_real_one(db):
    dry = place(db, Order("lifecycle.purge", NIGHT, "long", is_dry=True))
    end(db, take(db, dry.run_id))

    real = place(db, Order("lifecycle.purge", NIGHT, "long"))

    assert real.what is What.NEW


def test_the_sweep_requeues_a_silent_run_and_publishes_it(db):
    run_id = place(db).run_id
    take(db, run_id, lease_s=0)
    sent = []

    found = reconcile.sweep(db.engine, sent.append)

    assert (found.reaped, found.sent, sent) == ((run_id,), (run_id,), [run_id])


def test_a_run_whose_workers_died_three_times_is_dead(db):
    run_id = place(db).run_id
    for _ in range(3):
        take(db, run_id, lease_s=0)

    found = reconcile.sweep(db.engine, lambda run_id: None)

    assert found.dead == (run_id,)
    assert take(db, run_id) is None


def test_a_retry_waits_for_its_delay(db):
    run_id = place(db).run_id
    end(
        db,
        take(db, run_id),
        Ending(State.WAITING, "retry", error_class="X", error_message="m", delay_s=60),
    )

    assert take(db, run_id) is None


def test_a_drained_attempt_does_not_count(db):
    run_id = place(db).run_id
    end(db, take(db, run_id), Ending(State.QUEUED, "drained"))

    assert take(db, run_id).attempt == 1


def test_a_report_commits_with_the_last_batch_and_outlives_the_attempt(conn, db, start_run):
    report = Counted(7)
    run = start_run(lease_s=0.01)

    with run.batch(conn) as batch:
        batch.report = report
    time.sleep(0.1)  # the lease ends
    heir = take(db, run.id)

    assert (run.settled, heir.settled) == (None, Settled(7, to_evidence(report)))
    assert to_evidence(heir.settled) == to_evidence(report)
    assert heir.settled.summary == "7 counted"


def test_the_last_batch_is_not_stopped_by_a_drain(conn, start_run):
    run = replace(start_run(), is_draining=lambda: True)

    with pytest.raises(RunDrained), run.batch(conn):
        pass
    with run.batch(conn) as batch:
        batch.report = Counted(1)

    assert conn.execute(text("select checkpoint from ocd.run")).scalar_one()["settled"]["rows"] == 1
