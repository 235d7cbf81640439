"""The reconciler: what was lost is sent again, what is overdue is told, twice at once does no harm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text

from ocd.core.db import sqlalchemy_url
from ocd.core.errors import SourceUnavailable, UnknownName
from ocd.ledger import claims, enqueue, incidents, reconcile
from ocd.ledger.claims import Ending
from ocd.ledger.enqueue import Order
from ocd.ledger.states import State
from ocd.ledger.windows import Daily

NIGHT = Daily().parse("2026-11-23")
DONE = Ending(State.DONE, "done", rows=1)
FAILED = Ending(State.FAILED, "failed", error_class="X", error_message="m")
RETRY = Ending(State.WAITING, "retry", error_class="X", error_message="m", delay_s=3600)


@pytest.fixture
def place(db):
    def place(job="some.job", window=NIGHT, **about):
        after = about.pop("after", ())
        with db.engine.begin() as conn:
            return enqueue.add(conn, Order(job, window, "short", **about), after=after).run_id

    return place


@pytest.fixture
def change(db):
    """Let time pass for a run: change(run_id, "publish_at = …")."""

    def change(run_id, assignment):
        with db.engine.begin() as conn:
            conn.execute(text(f"update ocd.run set {assignment} where id = :id"), {"id": run_id})

    return change


@pytest.fixture
def sweep(db):
    def sweep(**options):
        sent = []
        found = reconcile.sweep(db.engine, sent.append, **options)
        return found, sent

    return sweep


def take(db, run_id, job="some.job"):
    return claims.claim(db.engine, run_id, job=job, worker="w", lease_s=30)


def end(db, run, ending=DONE):
    with db.engine.begin() as conn:
        return claims.finish(conn, run, ending)


def ago(seconds):
    return f"clock_timestamp() - interval '{seconds} seconds'"


def test_a_message_sent_just_now_is_not_sent_again(place, sweep):
    place()

    assert sweep()[1] == []


def test_a_message_that_nobody_picked_up_is_sent_again(place, change, sweep):
    run_id = place()
    change(run_id, f"publish_at = {ago(61)}, queued_at = {ago(61)}")

    assert sweep()[1] == [run_id]
    assert sweep()[1] == []


def test_a_run_that_waits_long_gets_few_messages(place, change, sweep):
    """Sent again after it waited twice as long each time: 10 minutes, 20, 40 … 1280 are eight in a day."""
    run_id = place()
    messages = 0

    for minute in range(10, 24 * 60, 10):
        change(run_id, "publish_at = publish_at - interval '10 minutes'")
        change(run_id, f"queued_at = {ago(60 * minute)}")
        messages += len(sweep()[1])

    assert messages == 8


def test_a_broker_that_came_back_empty_gets_everything_again(place, sweep):
    run_ids = [place(f"job.{number}") for number in range(3)]

    assert sweep(is_broker_new=True)[1] == run_ids


def test_a_long_queue_is_sent_page_by_page_at_once(place, sweep, monkeypatch):
    monkeypatch.setattr(reconcile, "PAGE", 2)
    run_ids = [place(f"job.{number}") for number in range(5)]

    assert sorted(sweep(is_broker_new=True)[1]) == run_ids


def test_a_broker_that_is_away_costs_no_run_its_message(db, place, sweep):
    run_ids = [place(f"job.{number}") for number in range(3)]

    def away(run_id):
        if run_id != run_ids[0]:
            raise SourceUnavailable("away")

    first = reconcile.sweep(db.engine, away, is_broker_new=True)

    assert first.sent == (run_ids[0],)
    assert sweep()[1] == run_ids[1:]


def test_a_run_waits_for_its_hour_and_is_then_queued_and_sent(db, place, change, sweep):
    run_id = place()
    end(db, take(db, run_id), RETRY)
    assert sweep()[0].due == ()

    change(run_id, f"not_before = {ago(1)}")
    found, sent = sweep()

    assert (found.due, sent) == ((run_id,), [run_id])


def test_an_hour_that_has_come_is_enough_to_claim(db, place, change):
    """The message of a retry may arrive before the sweep does."""
    run_id = place()
    end(db, take(db, run_id), RETRY)
    change(run_id, f"not_before = {ago(1)}")

    assert take(db, run_id).attempt == 2


def test_two_sweeps_at_once_send_each_run_once(db, place, change):
    run_ids = [place(f"job.{number}") for number in range(200)]
    for run_id in run_ids:
        change(run_id, f"publish_at = {ago(61)}")
    engine = create_engine(sqlalchemy_url(db.url))
    sent: list[int] = []

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reconcile.sweep(engine, sent.append), range(4)))
    engine.dispose()

    assert sorted(sent) == run_ids


@pytest.mark.parametrize("state", ["queued", "waiting", "running", "failed"])
def test_what_is_not_done_at_its_deadline_is_late_once(db, place, change, sweep, state):
    first = place("job.first")
    run_id = place(after=(first,) if state == "waiting" else (), deadline=timedelta(hours=8))
    if state in {"running", "failed"}:
        run = take(db, run_id)
        if state == "failed":
            end(db, run, FAILED)
    change(run_id, f"deadline_at = {ago(1)}")

    assert sweep()[0].late == (run_id,)
    assert sweep()[0].late == ()
    with db.engine.connect() as conn:
        kinds = [one["kind"] for one in incidents.incidents(conn)]
    assert kinds.count("late") == 1


@pytest.mark.parametrize("how", ["done", "cancelled"])
def test_what_is_done_or_given_up_is_never_late(db, place, change, sweep, how):
    run_id = place(deadline=timedelta(hours=8))
    if how == "done":
        end(db, take(db, run_id))
    else:
        with db.engine.begin() as conn:
            enqueue.cancel(conn, run_id)
    change(run_id, f"deadline_at = {ago(1)}")

    assert sweep()[0].late == ()


def test_a_run_without_a_promise_is_never_late(place, sweep):
    place(trigger="manual")

    assert sweep()[0].late == ()


def test_a_run_that_somebody_started_early_keeps_the_deadline_of_its_schedule(db, place, conn):
    run_id = place(trigger="manual")

    place(trigger="schedule", deadline=timedelta(hours=8))

    assert conn.execute(
        text("select deadline_at from ocd.run where id = :id"), {"id": run_id}
    ).scalar() == NIGHT.end + timedelta(hours=8)


def test_a_job_that_nobody_knows_is_refused_after_its_grace(db, place, change):
    run_id = place("gone.job")
    error = UnknownName("job", "gone.job", ["some.job"])

    def refuse():
        with db.engine.begin() as conn:
            return enqueue.refuse(conn, run_id, error, grace=timedelta(minutes=10))

    assert not refuse()
    change(run_id, f"queued_at = {ago(601)}")
    assert refuse()
    with db.engine.connect() as conn:
        (incident,) = incidents.incidents(conn)
    assert (incident["kind"], incident["error_class"]) == ("refused", "UnknownName")


def test_silence_is_an_incident_until_it_is_broken(db, sweep):
    reconcile.heard(db.engine, "beat")
    assert sweep()[0].silent == ()

    assert sweep(silent_s=0)[0].silent == ("beat",)
    assert sweep(silent_s=0)[0].silent == ("beat",)
    with db.engine.connect() as conn:
        (incident,) = incidents.incidents(conn)
    assert (incident["cause"], incident["severity"], incident["times"]) == (
        "silent:beat",
        "critical",
        2,
    )
    sweep()
    with db.engine.connect() as conn:
        assert incidents.incidents(conn) == []


def test_who_was_never_heard_is_not_silent(sweep):
    assert sweep(silent_s=0)[0].silent == ()


def test_two_steps_that_end_at_the_same_moment_ready_the_one_that_waits_for_both(db, place):
    """Each ends before the other has committed: without the lock neither would see the other's end."""
    first, second = place("job.a"), place("job.b")
    last = place("job.c", after=(first, second))
    one, other = take(db, first, "job.a"), take(db, second, "job.b")
    engine = create_engine(sqlalchemy_url(db.url))

    with ThreadPoolExecutor(1) as pool, engine.connect() as conn:
        transaction = conn.begin()
        ready = claims.finish(conn, one, DONE).ready
        later = pool.submit(lambda: end(db, other).ready)
        wait_for_a_lock(db)
        transaction.commit()
        ready += later.result(timeout=10)
    engine.dispose()

    assert ready == (last,)


def wait_for_a_lock(db):
    with db.engine.connect() as conn:
        for _ in range(1000):
            waiting = conn.execute(
                text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
            ).scalar()
            conn.rollback()
            if waiting:
                return
    pytest.fail("nobody waits: the second step looked without asking for the lock")
