"""What is wrong is noted once per cause, and closes when it is mended, not before."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError
from ocd.core.settings import PROJECT
from ocd.ledger import claims, enqueue, incidents, reconcile
from ocd.ledger.claims import Ending
from ocd.ledger.enqueue import Order
from ocd.ledger.states import State
from ocd.ledger.windows import Daily

DONE = Ending(State.DONE, "done", rows=0, evidence={"type": "T", "version": 1})
REFUSED = Ending(State.REFUSED, "refused", error_class="BackupMissing", error_message="none")


def failed(error_class="SourceUnavailable"):
    return Ending(
        State.FAILED, "failed", error_class=error_class, error_message="it did not answer"
    )


@pytest.fixture
def end(db, start_run):
    """Order, claim and end a run: end(ending, window=…, subject=…, is_dry=…)."""

    def ended(ending, **order):
        run = start_run(**order)
        with db.engine.begin() as conn:
            claims.finish(conn, run, ending)
        return run.id

    return ended


@pytest.fixture
def found(db):
    """Return incidents, closed ones too, the first opened first."""

    def read(**which):
        with db.engine.connect() as conn:
            listed = incidents.incidents(conn, with_closed=True, **which)
        return sorted(listed, key=lambda one: one["id"])

    return read


def sweep(db):
    return reconcile.sweep(db.engine, lambda run_id: None)


@pytest.mark.parametrize("page", sorted(set(incidents.HOW_TO.values())))
def test_every_page_that_an_incident_names_exists(page):
    assert (PROJECT / page).is_file()


def test_a_failed_run_opens_an_incident_with_the_page_that_helps(end, found):
    run = end(failed())

    (incident,) = found()
    assert (incident["kind"], incident["severity"], incident["run_id"]) == ("failed", "error", run)
    assert incident["times"] == 1
    assert incident["how_to"] == incidents.HOW_TO["failed"]
    assert "it did not answer" in incident["summary"]


def test_the_page_of_the_error_comes_before_that_of_the_kind(end, found):
    end(REFUSED)

    (incident,) = found()
    assert incident["how_to"] == incidents.HOW_TO["BackupMissing"]


def test_the_next_night_that_fails_the_same_way_adds_to_it(end, found):
    end(failed(), window="2026-11-22")
    end(failed(), window="2026-11-23")

    (incident,) = found()
    assert (incident["times"], incident["closed_at"]) == (2, None)
    assert "2026-11-23" in incident["summary"]


@pytest.mark.parametrize(
    "other",
    [{"error": "ContractBroken"}, {"subject": {"dataset": "b"}}, {"job": "other.job"}],
    ids=["another error", "another subject", "another job"],
)
def test_another_cause_is_another_incident(end, found, other):
    end(failed(), subject={"dataset": "a"})
    changed = {"subject": {"dataset": "a"}} | other

    end(failed(changed.pop("error", "SourceUnavailable")), **changed)

    assert len(found()) == 2


@pytest.mark.parametrize("window", ["2026-11-23", "2026-11-24"], ids=["same", "newer"])
def test_recovery_in_the_same_or_a_newer_window_closes_it(end, found, window):
    end(failed(), window="2026-11-23")

    good = end(DONE, window=window)

    (incident,) = found()
    assert incident["closed_at"] is not None
    assert incident["closed_by_run_id"] == good


@pytest.mark.parametrize(
    "good",
    [
        {"window": "2026-11-22"},
        {"is_dry": True},
        {"subject": {"dataset": "b"}},
        {"job": "other.job"},
    ],
    ids=["an older window", "a dry run", "another subject", "another job"],
)
def test_what_does_not_mend_it_does_not_close_it(end, found, good):
    end(failed())

    end(DONE, **good)

    (incident,) = found()
    assert incident["closed_at"] is None


def test_a_dry_run_that_fails_opens_none(end, found):
    end(failed(), is_dry=True)

    assert found() == []


def test_after_it_closed_the_same_cause_opens_a_new_one(end, found):
    end(failed(), window="2026-11-22")
    end(DONE, window="2026-11-23")
    end(failed(), window="2026-11-24")

    assert [one["closed_at"] is None for one in found()] == [False, True]


def test_a_run_whose_workers_died_three_times_opens_a_dead_one(db, start_run, found):
    for _ in range(3):
        start_run(lease_s=0)
        sweep(db)

    (incident,) = found()
    assert (incident["kind"], incident["error_class"]) == ("dead", "WorkerLost")
    assert incident["how_to"] == "docs/how-to/replay-dead-runs.md"


@pytest.fixture
def overdue(db):
    """A queued run whose deadline is over."""
    order = Order("test.job", Daily().parse("2026-11-20"), "short", deadline=timedelta(hours=8))
    with db.engine.begin() as conn:
        return enqueue.add(conn, order).run_id


def test_a_missed_deadline_is_noted_once_and_closed_by_being_done_after_all(db, overdue, found):
    late = [sweep(db).late, sweep(db).late]
    opened = found()

    run = claims.claim(db.engine, overdue, job="test.job", worker="w", lease_s=30)
    with db.engine.begin() as conn:
        claims.finish(conn, run, DONE)

    assert late == [(overdue,), ()]
    assert [(one["kind"], one["run_id"], one["times"]) for one in opened] == [("late", overdue, 1)]
    assert found()[0]["closed_by_run_id"] == overdue


def test_who_cancels_a_late_run_settles_its_incident(db, overdue, found):
    sweep(db)

    with db.engine.begin() as conn:
        enqueue.cancel(conn, overdue)

    assert found()[0]["closed_at"] is not None


def test_a_beat_that_falls_silent_is_critical_until_it_is_heard(db, found):
    reconcile.heard(db.engine, "beat")
    with db.engine.begin() as conn:
        conn.execute(text("update ocd.heartbeat set beat_at = beat_at - interval '181 seconds'"))

    swept = [sweep(db).silent, sweep(db).silent]
    opened = found()
    reconcile.heard(db.engine, "beat")
    sweep(db)

    assert swept == [("beat",), ("beat",)]
    assert [(one["cause"], one["severity"]) for one in opened] == [("silent:beat", "critical")]
    assert found()[0]["closed_at"] is not None


def test_a_beat_that_was_never_heard_is_no_incident(db, found):
    sweep(db)

    assert found() == []


def test_one_may_be_closed_by_hand_and_only_once(db, end, found):
    end(failed())
    (incident,) = found()
    with db.engine.begin() as conn:
        incidents.close_by_hand(conn, incident["id"])

    with db.engine.begin() as conn, pytest.raises(ConfigError, match="no open incident"):
        incidents.close_by_hand(conn, incident["id"])

    assert found()[0]["closed_at"] is not None


def test_the_list_is_of_open_ones_or_of_a_job(db, end, found):
    end(failed(), window="2026-11-22")
    end(DONE, window="2026-11-23")
    end(failed(), job="other.job")

    with db.engine.connect() as conn:
        still_open = incidents.incidents(conn)

    assert [one["job"] for one in still_open] == ["other.job"]
    assert [one["job"] for one in found(job="test.job")] == ["test.job"]


def test_two_who_look_at_once_get_each_news_once(db, end):
    for number in range(20):
        end(failed(f"Error{number}"), window="2026-11-23", subject={"number": number})
    taken, start = [], threading.Barrier(2)

    def take():
        with db.engine.begin() as conn:
            start.wait()
            taken.extend(one["id"] for one in incidents.take_untold(conn))

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == len(set(taken)) == 20
