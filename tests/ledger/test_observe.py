"""What operators ask of the ledger: the answer equals the plain reading of its rows, and stays cheap."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from ocd.core.db import sqlalchemy_url
from ocd.ledger import observe, pauses, reconcile
from ocd.ledger.observe import JobState, Snapshot, Watched
from ocd.ledger.states import State
from ocd.ledger.windows import Daily
from tests.factories.clock import NOW
from tests.factories.runs import fill, insert_run

JOBS = ("a.job", "b.job", "never.ran")
STATES = [state.value for state in State]
BAD_OR_OPEN = {"waiting", "queued", "running", "failed", "refused", "dead"}

a_run = st.fixed_dictionaries(
    {
        "job": st.sampled_from(("a.job", "b.job", "gone.job")),
        # Done ones often, so that many windows are good.
        "state": st.sampled_from(STATES) | st.just("done"),
        "day": st.integers(-4, 0),
        "hours": st.sampled_from((24, 1)),
        "subject": st.sampled_from(("", "one", "two")),
        "kind": st.sampled_from(("real", "real", "real", "dry")),
        "queue": st.sampled_from(("short", "long")),
        "queued_at": st.integers(0, 300).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        "late_at": st.sampled_from((None, NOW)),
    }
)
histories = st.lists(
    a_run,
    max_size=25,
    # One real run per (job, window, subject): the ledger itself refuses a second.
    unique_by=lambda run: (
        (run["job"], run["day"], run["hours"], run["subject"]) if run["kind"] == "real" else id(run)
    ),
)


@contextmanager
def history(conn, runs):
    """Have exactly these runs in the ledger, and none of them afterwards."""
    with conn.begin() as transaction:
        for run in runs:
            insert_run(conn, **run)
        yield
        transaction.rollback()


def brute_force(runs, job):
    """Read one job's runs the plain way: newest good window's end, counts, late, oldest queued."""
    mine = [run for run in runs if run["job"] == job and run["kind"] == "real"]
    windows = {}
    for run in mine:
        windows.setdefault((run["day"], run["hours"]), set()).add(run["state"])
    good = [window for window, states in windows.items() if states == {"done"}]
    midnight = NOW.replace(hour=0)
    day, hours = max(good, default=(None, None))
    return {
        "good_until": None if day is None else midnight + timedelta(days=day, hours=hours),
        "runs": Counter(run["state"] for run in mine if run["state"] in BAD_OR_OPEN),
        "late": sum(run["late_at"] is not None and run["state"] in BAD_OR_OPEN for run in mine),
        "oldest_queued_at": min(
            (run["queued_at"] for run in mine if run["state"] == "queued"), default=None
        ),
    }


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs=histories)
def test_a13_every_job_is_observable_as_its_runs_say(conn, runs):
    with history(conn, runs):
        found = observe.observe(conn, JOBS)

        for job in {*JOBS, *found.jobs}:
            state = found.jobs[job]
            assert {
                "good_until": state.good_until,
                "runs": state.runs,
                "late": state.late,
                "oldest_queued_at": state.oldest_queued_at,
            } == brute_force(runs, job)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs=histories)
def test_a13_queues_and_leases_are_those_of_all_runs(conn, runs):
    with history(conn, runs):
        found = observe.observe(conn, JOBS)

        queued = Counter(run["queue"] for run in runs if run["state"] == "queued")
        assert {one.queue: one.queued for one in found.queues} == queued
        assert len(found.leases) == sum(run["state"] == "running" for run in runs)
        gone = [run for run in runs if run["job"] == "gone.job" and run["kind"] == "real"]
        assert ("gone.job" in found.jobs) == any(run["state"] in BAD_OR_OPEN for run in gone)


def test_a13_next_due_is_the_cadences_and_a_job_that_never_ran_is_told_of(conn):
    found = observe.observe(conn, ["never.ran"])

    watched = Watched("never.ran", "flow.night", Daily(hour=2), timedelta(hours=8))
    due = watched.cadence.next_due(found.at)
    assert found.at < due <= found.at + timedelta(days=1)
    assert found.jobs["never.ran"].good_until is None


def test_a_dry_run_is_never_good_late_or_dead_but_fills_its_queue(conn):
    for state in ("done", "dead", "queued"):
        insert_run(conn, state=state, kind="dry", late_at=NOW)

    found = observe.observe(conn, ["test.job"])

    job = found.jobs["test.job"]
    assert (job.good_until, job.late, dict(job.runs)) == (None, 0, {})
    assert [(one.queue, one.queued) for one in found.queues] == [("short", 1)]


def test_a_lease_tells_since_when_and_until_when(conn):
    insert_run(conn, state="running", renewed_at=NOW - timedelta(seconds=9), lease_until=NOW)

    (lease,) = observe.observe(conn, []).leases

    assert (lease.renewed_at, lease.until, lease.worker) == (
        NOW - timedelta(seconds=9),
        NOW,
        "host:1",
    )


def test_ages_are_of_the_databases_clock(db, conn):
    reconcile.heard(db.engine, "beat")

    found = observe.observe(conn, [])

    assert 0 <= found.age_s(found.heard_at["beat"]) < 60
    assert found.age_s(found.at + timedelta(seconds=5)) == 0


@pytest.mark.parametrize(
    ("name", "is_paused"),
    [("lifecycle.purge", True), ("flow.night", True), ("*", True), ("other", False)],
)
def test_a_job_is_paused_with_its_flow_or_everything(conn, name, is_paused):
    pauses.pause(conn, name, reason="why", paused_by="me")

    found = observe.observe(conn, [])

    watched = Watched("lifecycle.purge", "flow.night", Daily(), timedelta(hours=8))
    assert found.is_paused(watched) is is_paused


def a_snapshot(at, *, good_until, since, paused=()):
    job = JobState("a.job", good_until=good_until)
    return Snapshot(at, {"a.job": job}, (), (), {}, {"flow.night": since}, {}, 0, frozenset(paused))


LONG_AGO = NOW - timedelta(days=30)
#: A day's window ended at 0:00 of the 24th; it is to be good at 8:00.
MIDNIGHT = NOW.replace(hour=0)


@pytest.mark.parametrize(
    ("at", "good_until", "since", "expected"),
    [
        (MIDNIGHT + timedelta(hours=8), MIDNIGHT - timedelta(days=1), LONG_AGO, False),
        (MIDNIGHT + timedelta(hours=8, seconds=1), MIDNIGHT - timedelta(days=1), LONG_AGO, True),
        (MIDNIGHT + timedelta(hours=23), MIDNIGHT, LONG_AGO, False),
        (NOW, None, LONG_AGO, True),
        (NOW, None, NOW - timedelta(hours=32), False),
        (NOW, LONG_AGO, NOW - timedelta(hours=1), False),
    ],
    ids=[
        "at the deadline",
        "after it",
        "done",
        "never",
        "never, but new",
        "old, but scheduled anew",
    ],
)
def test_a_job_is_overdue_when_a_promised_window_is_missing(at, good_until, since, expected):
    watched = Watched("a.job", "flow.night", Daily(hour=2), timedelta(hours=8))

    assert a_snapshot(at, good_until=good_until, since=since).is_overdue(watched) is expected


@pytest.mark.parametrize(
    ("entry", "paused"), [(None, ()), ("flow.night", ("a.job",))], ids=["on demand", "paused"]
)
def test_what_nobody_promised_is_never_overdue(entry, paused):
    watched = Watched("a.job", entry, Daily(hour=2), timedelta(hours=8))

    found = a_snapshot(NOW, good_until=None, since=LONG_AGO, paused=paused)

    assert not found.is_overdue(watched)


@pytest.fixture
def large(db):
    """A ledger in which a scan of all runs is the planner's choice for a question about all jobs."""
    owner = create_engine(sqlalchemy_url(db.superuser_url))
    with owner.begin() as conn:
        fill(conn, state="done", runs=20_000, jobs=7)
        fill(conn, state="queued", runs=500, jobs=7, skip=20_000)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum analyze ocd.run"))
    owner.dispose()
    return db


def plan(conn, statement, **values):
    found = conn.execute(text(f"explain (costs off) {statement}"), values)
    return "\n".join(found.scalars())


def test_looking_at_a_job_reads_no_finished_run_but_its_newest(large, conn):
    jobs = [f"fill.job{number}" for number in range(7)]

    looked_up = plan(conn, str(observe._GOOD), jobs=jobs)
    naive = plan(conn, "select job, max(window_end) from ocd.run where state = 'done' group by job")

    assert "Seq Scan on run" in naive
    assert "Seq Scan on run" not in looked_up
    assert "Index Scan Backward using run_identity on run" in looked_up


def test_counting_open_and_bad_runs_reads_only_those(large, conn):
    found = plan(conn, str(observe._COUNT))

    assert "Seq Scan" not in found
    assert "run_publish_idx" in found
