"""Ticks, pauses and catch-up: every window that is due has one run, unless somebody paused it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ocd.core.db import now_of
from ocd.core.errors import ConfigError, PolicyRefused
from ocd.ledger import pauses
from ocd.ledger.policy import NONE, all_up_to
from ocd.ledger.windows import Daily
from tasks import registry, runtime
from tasks.catch_up import catch_up
from tasks.commands.order import chosen_window
from tasks.flows import NIGHT, place_flow
from tasks.scheduler import tick

EVERY_JOB = {step.job for step in NIGHT.steps}


@pytest.fixture
def ledger(task_layer):
    """Read what was placed: ledger() -> {(job, window label)}."""

    def placed(**where):
        with task_layer.engine.connect() as conn:
            rows = conn.execute(text("select job, window_label, trigger, state from ocd.run")).all()
        return {(row.job, row.window_label) for row in rows}

    return placed


@pytest.fixture
def scheduled_since(task_layer):
    """Say since when the night is scheduled, in days before now."""

    def since(days, cadence=None):
        with task_layer.engine.begin() as conn:
            conn.execute(
                text("""
                    insert into ocd.schedule (name, cadence, since_at)
                    values ('flow.night', :cadence, clock_timestamp() - make_interval(days => :days))
                """),
                {"cadence": cadence or str(NIGHT.cadence), "days": days},
            )

    return since


@pytest.fixture
def pause(task_layer):
    def pause(name):
        with task_layer.engine.begin() as conn:
            pauses.pause(conn, name, reason="a test", paused_by="me")

    return pause


@pytest.fixture
def newest(task_layer):
    """The newest window that catch-up may make up for."""
    with task_layer.engine.connect() as conn:
        return NIGHT.cadence.last_due(now_of(conn) - NIGHT.cadence.grace)


def before(window, days):
    return (window.day - timedelta(days=days)).isoformat()


def test_a_tick_places_the_window_that_is_due(ledger):
    tick("flow.night")

    window = NIGHT.cadence.last_due(runtime.now()).label
    assert {job for job, _ in ledger()} == EVERY_JOB
    assert {label for _, label in ledger()} == {window}


def test_many_ticks_of_several_beats_at_once_place_each_run_once(ledger, task_layer):
    with ThreadPoolExecutor(3) as pool:
        placed = list(pool.map(tick, ["flow.night"] * 6))

    assert len({tuple(one) for one in placed}) == 1
    with task_layer.engine.connect() as conn:
        assert conn.execute(text("select count(*) from ocd.run")).scalar() == len(placed[0])


@pytest.mark.parametrize(
    ("now", "window"),
    [
        (datetime(2026, 11, 24, 1, 59, tzinfo=UTC), "2026-11-22"),
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), "2026-11-23"),
        (datetime(2026, 11, 24, 23, 45, tzinfo=UTC), "2026-11-23"),
    ],
    ids=["before it is due", "when it is due", "late in the day"],
)
def test_the_databases_clock_says_which_window_is_due(ledger, monkeypatch, now, window):
    monkeypatch.setattr(runtime, "now", lambda *_, **__: now)

    tick("flow.night")

    assert {label for _, label in ledger()} == {window}


def test_the_shops_day_is_the_night_of_a_shop_elsewhere(ledger, monkeypatch, task_layer):
    runtime.use(runtime.environment() | {"OCD_SHOP_TIME_ZONE": "America/Los_Angeles"})
    monkeypatch.setattr(runtime, "now", lambda *_, **__: datetime(2026, 11, 2, 10, 15, tzinfo=UTC))

    tick("flow.night")

    with task_layer.engine.connect() as conn:
        row = conn.execute(
            text("select distinct window_label, window_start, window_end from ocd.run")
        ).one()
    assert row.window_label == "2026-11-01"
    assert row.window_end - row.window_start == timedelta(hours=25)


def test_a_paused_flow_is_not_placed(ledger, pause):
    pause("flow.night")

    assert tick("flow.night") == []
    assert ledger() == set()


def test_everything_paused_is_everything(ledger, pause):
    pause("*")

    tick("flow.night")

    assert ledger() == set()


def test_a_paused_job_is_left_out_with_what_waits_for_it(ledger, pause):
    pause("lifecycle.verify")

    tick("flow.night")

    behind = {"lifecycle.purge", "lifecycle.rotate"}
    assert {job for job, _ in ledger()} == EVERY_JOB - {"lifecycle.verify"} - behind


def test_after_a_pause_the_missing_steps_join_the_ones_that_are_there(
    ledger, pause, task_layer, scheduled_since, monkeypatch, newest
):
    scheduled_since(1)
    monkeypatch.setattr(runtime, "now", lambda *_, **__: NIGHT.cadence.due(newest))
    pause("lifecycle.verify")
    tick("flow.night")
    catch_up()
    assert ("lifecycle.verify", newest.label) not in ledger()

    with task_layer.engine.begin() as conn:
        pauses.resume(conn, None)
    catch_up()

    assert {job for job, label in ledger() if label == newest.label} == EVERY_JOB
    with task_layer.engine.connect() as conn:
        waits = conn.execute(
            text("""
                select b.job from ocd.run r join ocd.run_dependency d on d.run_id = r.id
                join ocd.run b on b.id = d.depends_on_id where r.job = 'lifecycle.verify'
            """)
        ).scalars()
        assert list(waits) == ["lifecycle.backup"]


def test_a_pause_needs_a_reason_and_a_resume_a_pause(task_layer):
    with task_layer.engine.begin() as conn, pytest.raises(ConfigError, match="say why"):
        pauses.pause(conn, "flow.night", reason=" ", paused_by="me")
    with task_layer.engine.begin() as conn, pytest.raises(ConfigError, match="not paused"):
        pauses.resume(conn, "flow.night")


def test_a_schedule_that_was_never_seen_has_missed_nothing(ledger):
    assert catch_up() == []
    assert ledger() == set()


def test_each_job_is_made_up_for_as_far_as_its_policy_goes(ledger, scheduled_since, newest):
    scheduled_since(30)

    catch_up()

    last, all_of_a_week = {newest.label}, {before(newest, days) for days in range(7)}
    found: dict[str, set[str]] = {}
    for job, label in ledger():
        found.setdefault(job, set()).add(label)
    assert found == {
        job: all_of_a_week if job in {"sources.refresh_ga", "warehouse.rollup"} else last
        for job in EVERY_JOB
    }


def test_a_beat_that_was_away_for_two_days_costs_two_windows_not_seven(
    ledger, scheduled_since, newest
):
    place_flow(NIGHT, NIGHT.cadence.parse(before(newest, 2)), trigger="schedule")
    scheduled_since(30)
    for days in range(3, 7):
        place_flow(
            NIGHT,
            NIGHT.cadence.parse(before(newest, days)),
            trigger="schedule",
            takes=lambda job: job in {"warehouse.rollup", "sources.refresh_ga"},
        )
    known = ledger()

    catch_up()

    assert {label for job, label in ledger() - known if job == "warehouse.rollup"} == {
        newest.label,
        before(newest, 1),
    }


def test_catching_up_twice_places_nothing_twice(ledger, scheduled_since):
    scheduled_since(3)
    catch_up()
    known = ledger()

    assert catch_up() == []
    assert ledger() == known


@pytest.mark.parametrize(("policy", "windows"), [(NONE, 0), (all_up_to(2), 2)], ids=str)
def test_none_and_a_limit_are_policies_too(ledger, scheduled_since, monkeypatch, policy, windows):
    job = registry.JOBS["warehouse.rollup"]
    monkeypatch.setattr(job, "facts", replace(job.facts, catch_up=policy))
    scheduled_since(30)

    catch_up()

    assert len({label for name, label in ledger() if name == "warehouse.rollup"}) == windows


def test_what_is_paused_is_not_made_up_for(ledger, scheduled_since, pause):
    scheduled_since(30)
    pause("flow.night")

    assert catch_up() == []


def test_a_new_cadence_begins_anew(ledger, scheduled_since):
    scheduled_since(30, cadence="daily 05:00 UTC")

    assert catch_up() == []


def test_a_window_that_is_made_up_for_has_the_deadline_of_its_schedule(task_layer, scheduled_since):
    scheduled_since(2)

    catch_up()

    with task_layer.engine.connect() as conn:
        rows = conn.execute(
            text("select deadline_at - window_end as promised, trigger from ocd.run")
        ).all()
    assert {(row.promised, row.trigger) for row in rows} == {(timedelta(hours=8), "catch_up")}


def test_a_window_in_the_future_is_refused(task_layer):
    with pytest.raises(PolicyRefused, match="not over yet"):
        chosen_window(Daily(), "2999-01-01")


def test_a_job_whose_past_cannot_run_cannot_catch_up_on_it():
    from tasks.job import job

    with pytest.raises(ConfigError, match="last only"):
        job("test.no_past", queue="short", effect="read_only", catch_up=all_up_to(3))(
            lambda door: None
        )
