"""The lease of a run is renewed while its body works, by a thread that ends with the work."""

from __future__ import annotations

import threading
import time

from sqlalchemy import text


def lease_thread():
    return next((one for one in threading.enumerate() if one.name == "leases"), None)


def wait_until(holds, deadline_s=20):
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)


def renewed_at(db, run):
    with db.engine.connect() as conn:
        return conn.execute(
            text("select lease_renewed_at from ocd.run where id = :id"), {"id": run.id}
        ).scalar()


def test_a_lease_is_renewed_while_the_body_works(db, start_run):
    run = start_run(lease_s=0.6)
    before = renewed_at(db, run)

    with run.lease():
        wait_until(lambda: renewed_at(db, run) > before)

    assert renewed_at(db, run) > before


def test_runs_that_work_at_the_same_time_are_all_renewed(db, start_run):
    runs = [start_run(window=f"2026-11-2{day}", lease_s=0.6) for day in (1, 2)]
    before = [renewed_at(db, run) for run in runs]

    with runs[0].lease(), runs[1].lease():
        wait_until(
            lambda: all(renewed_at(db, run) > at for run, at in zip(runs, before, strict=True))
        )

    assert all(renewed_at(db, run) > at for run, at in zip(runs, before, strict=True))


def test_a_lease_that_was_lost_stays_with_its_heir(db, start_run):
    zombie = start_run(lease_s=0.01)
    heir = start_run(lease_s=600)
    before = renewed_at(db, heir)

    with zombie.lease():
        wait_until(lambda: time.monotonic() - zombie._renewed_at < 0.05)
        time.sleep(0.3)

    assert renewed_at(db, heir) == before


def test_the_thread_ends_when_there_is_nothing_to_hold(start_run):
    with start_run().lease():
        assert lease_thread() is not None

    wait_until(lambda: lease_thread() is None)
