"""Backfills: the right windows, a few at a time, never twice, whoever watches."""

from __future__ import annotations

import signal
import time

import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError
from ocd.ledger import backfills, claims, enqueue
from ocd.ledger.backfills import Plan, Reprocess
from ocd.ledger.claims import Ending
from ocd.ledger.enqueue import Order
from ocd.ledger.states import State
from ocd.ledger.windows import Daily

DAYS = list(Daily().between(Daily().parse("2026-11-01"), Daily().parse("2026-11-06")))
DONE = Ending(State.DONE, "done", rows=1)


@pytest.fixture
def order(db):
    """Open a backfill over the days and let its first runs go; returns its id and its runs' ids."""

    def order(max_active=2, days=DAYS, reprocess=Reprocess.MISSING):
        plan = Plan("some.job", days[0].label, days[-1].label, reprocess, max_active)
        with db.engine.begin() as conn:
            found = backfills.open_backfill(conn, plan)
            runs = [
                enqueue.add(
                    conn,
                    Order("some.job", day, "short", backfill_id=found, backfill_position=place),
                ).run_id
                for place, day in enumerate(days)
            ]
        let_go(db, found)
        return found, runs

    return order


def let_go(db, backfill_id):
    with db.engine.begin() as conn:
        return backfills.let_go(conn, backfill_id)


def finish(db, run_id, ending=DONE):
    """Carry a run out as the task layer does; returns the runs that this let go."""
    run = claims.claim(db.engine, run_id, job="some.job", worker="w", lease_s=30)
    with db.engine.begin() as conn:
        ended = claims.finish(conn, run, ending)
    return let_go(db, ended.backfill_id) if ended.backfill_id else []


def states(db, backfill_id):
    with db.engine.connect() as conn:
        return backfills.backfill(conn, backfill_id)["states"]


def test_no_more_than_max_active_are_under_way(db, order):
    backfill, runs = order(max_active=2)

    assert states(db, backfill) == {"queued": 2, "waiting": 4}
    assert finish(db, runs[0]) == [runs[2]]
    assert states(db, backfill) == {"done": 1, "queued": 2, "waiting": 3}


@pytest.mark.parametrize(
    "ending",
    [
        Ending(State.FAILED, "failed", error_class="X", error_message="m"),
        Ending(State.REFUSED, "refused", error_class="X", error_message="m"),
    ],
    ids=lambda ending: ending.outcome,
)
def test_a_bad_end_lets_the_next_go_too(db, order, ending):
    _, runs = order(max_active=1)

    assert finish(db, runs[0], ending) == [runs[1]]


def test_a_run_that_is_tried_again_keeps_its_place(db, order):
    backfill, runs = order(max_active=1)

    later = Ending(State.WAITING, "retry", error_class="X", error_message="m", delay_s=60)
    assert finish(db, runs[0], later) == []
    assert let_go(db, backfill) == []


def test_it_ends_with_its_last_run(db, order):
    backfill, runs = order(max_active=6)

    for run_id in runs:
        finish(db, run_id)

    with db.engine.connect() as conn:
        assert backfills.backfill(conn, backfill)["finished_at"] is not None
        assert backfills.open_ids(conn) == []


def test_a_cancelled_one_stops_what_waits_and_asks_what_runs(db, order):
    backfill, runs = order(max_active=2)
    claims.claim(db.engine, runs[0], job="some.job", worker="w", lease_s=30)

    with db.engine.begin() as conn:
        assert backfills.cancel(conn, backfill) == (5, 1)

    assert let_go(db, backfill) == []
    assert states(db, backfill) == {"cancelled": 5, "running": 1}
    with db.engine.begin() as conn, pytest.raises(ConfigError):
        backfills.cancel(conn, 99)


@pytest.mark.parametrize(
    ("reprocess", "state", "taken"),
    [
        (reprocess, state, taken)
        for reprocess, takes in {
            Reprocess.MISSING: {None},
            Reprocess.FAILED: {None, *["failed", "refused", "cancelled", "dead"]},
            Reprocess.ALL: {None, *["failed", "refused", "cancelled", "dead", "done"]},
        }.items()
        for state in (None, *State)
        for taken in (state in takes,)
    ],
)
def test_what_is_under_way_is_never_taken_and_the_rest_as_asked(reprocess, state, taken):
    assert reprocess.takes(state) is taken


def test_two_ranges_that_overlap_make_one_run_a_window(night):
    first = night.json("backfill", "warehouse.rollup", "--from", "2026-03-01", "--to", "2026-03-04")
    second = night.json(
        "backfill", "warehouse.rollup", "--from", "2026-03-03", "--to", "2026-03-06"
    )

    windows = [run["window"] for run in (*first["runs"], *second["runs"])]
    assert windows == [f"2026-03-0{day}" for day in range(1, 7)]
    assert {run["generation"] for run in (*first["runs"], *second["runs"])} == {1}


def test_the_plan_says_what_runs_and_what_is_left_alone(night):
    night("backfill", "warehouse.rollup", "--from", "2026-04-02", "--to", "2026-04-02")

    plan = night(
        "backfill", "warehouse.rollup", "--from", "2026-04-01", "--to", "2026-04-03", "--dry-run"
    )

    assert "2026-04-01  runs\n" in plan.stdout
    assert "2026-04-02  left alone (done)\n" in plan.stdout
    assert "2 runs of warehouse.rollup, at most 4 at once on queue short" in plan.stdout


def test_done_windows_run_again_only_with_all(night):
    arguments = ["backfill", "warehouse.rollup", "--from", "2026-05-01", "--to", "2026-05-02"]
    night(*arguments)

    assert night.json(*arguments)["runs"] == []
    again = night.json(*arguments, "--reprocess", "all")

    assert [run["generation"] for run in again["runs"]] == [2, 2]


def test_the_newest_window_comes_first_in_reverse(night):
    found = night.json(
        "backfill",
        "warehouse.rollup",
        "--from",
        "2026-06-01",
        "--to",
        "2026-06-03",
        "--reverse",
        "--max-active",
        "1",
    )

    by_start = sorted(found["runs"], key=lambda run: run["started_at"])
    assert [run["window"] for run in by_start] == ["2026-06-03", "2026-06-02", "2026-06-01"]


def test_ctrl_c_leaves_it_running_and_says_how_to_go_on(night):
    arguments = [
        "warehouse.rollup",
        "--from",
        "2018-01-01",
        "--to",
        "2021-12-31",
        "--max-active",
        "1",
    ]
    watching = night.start("backfill", *arguments)
    backfill = wait_for_backfill(night, "2018-01-01")

    watching.send_signal(signal.SIGINT)
    said, _ = watching.communicate(timeout=60)

    assert watching.returncode == 130
    assert f"ocd backfills follow {backfill}" in said
    assert f"ocd backfills cancel {backfill}" in said
    assert "Traceback" not in said
    before = done_windows(night, backfill)
    deadline = time.monotonic() + 60
    while done_windows(night, backfill) <= before:
        assert time.monotonic() < deadline, "it does not go on"
    night("backfills", "cancel", str(backfill))


def wait_for_backfill(night, first_label):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for one in night.json("backfills"):
            if one["first_label"] == first_label:
                return one["id"]
    pytest.fail("the backfill was not ordered")


def done_windows(night, backfill):
    found = next(one for one in night.json("backfills") if one["id"] == backfill)
    return found["states"].get("done", 0)


def test_a_cancelled_backfill_says_what_it_stopped(night):
    night("backfill", "warehouse.rollup", "--from", "2022-01-01", "--to", "2023-12-31", "--no-wait")
    backfill = night.json("backfills")[0]["id"]

    said = night("backfills", "cancel", str(backfill)).stdout

    assert "runs cancelled" in said
    found = night.json("backfills", "follow", str(backfill), code=1)
    assert found["cancelled_at"]
    assert set(found["states"]) <= {"done", "cancelled"}
    assert sum(found["states"].values()) == 730
    assert found["states"]["cancelled"] > 0


def test_a_worker_that_died_before_it_let_the_next_go_is_made_up_for(db, order):
    """Between a run's end and its backfill's next run lies a commit; the sweep does what is missing."""
    from ocd.ledger import reconcile

    backfill, runs = order(max_active=1)
    run = claims.claim(db.engine, runs[0], job="some.job", worker="w", lease_s=30)
    with db.engine.begin() as conn:
        claims.finish(conn, run, DONE)
    sent = []

    found = reconcile.sweep(db.engine, sent.append)

    assert (found.let_go, sent) == ((runs[1],), [runs[1]])
    with db.engine.connect() as conn:
        rows = conn.execute(
            text("select count(*) from ocd.run where backfill_id = :id and state = 'queued'"),
            {"id": backfill},
        )
        assert rows.scalar() == 1
