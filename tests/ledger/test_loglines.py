"""What an attempt logs stands in the ledger with it."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import text

from ocd.ledger import claims, loglines
from ocd.ledger.claims import Ending
from ocd.ledger.states import State
from tasks import attempt, runtime

DONE = Ending(State.DONE, "done", rows=0)
log = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def info():
    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    yield
    logging.getLogger().setLevel(before)


def events_of(db, run):
    with db.engine.connect() as conn:
        found = conn.execute(
            text("select event, fields from ocd.log_line where run_id = :id order by id"),
            {"id": run.id},
        )
        return [(row.event, row.fields) for row in found]


def test_the_last_lines_are_written_with_the_ending(db, start_run, monkeypatch):
    monkeypatch.setattr(runtime, "engine", lambda: db.engine)
    run = start_run()

    with loglines.kept(db.engine, run.id, run.fence) as lines:
        log.info("counted", extra={"rows": 3})
        log.warning("odd")
        assert events_of(db, run) == []
        attempt._end(run, DONE, lines)

    assert events_of(db, run) == [("counted", {"rows": 3}), ("odd", {})]


def test_lines_are_written_when_the_body_is_torn_down(db, start_run):
    run = start_run()

    with pytest.raises(SystemExit), loglines.kept(db.engine, run.id, run.fence):
        log.info("counted")
        raise SystemExit

    assert [event for event, _ in events_of(db, run)] == ["counted"]


def test_a_long_body_has_its_lines_written_meanwhile(db, start_run, monkeypatch):
    monkeypatch.setattr(loglines, "FLUSH_EVERY_S", 0.0)
    run = start_run()

    with loglines.kept(db.engine, run.id, run.fence):
        log.info("first")
        log.info("second")
        written = events_of(db, run)

    assert [event for event, _ in written] == ["first", "second"]


def test_lines_that_the_database_refuses_do_not_cost_the_run_its_ending(db, start_run, monkeypatch):
    event = "nul \0 byte"
    monkeypatch.setattr(runtime, "engine", lambda: db.engine)
    run = start_run()
    with loglines.kept(db.engine, run.id, run.fence) as lines:
        log.info(event)
        ended = attempt._end(run, DONE, lines)

    assert ended is not None
    assert events_of(db, run) == []


def test_a_zombie_keeps_its_lines_and_not_its_ending(db, start_run, monkeypatch):
    monkeypatch.setattr(runtime, "engine", lambda: db.engine)
    zombie = start_run(lease_s=0)
    heir = start_run()
    with loglines.kept(db.engine, zombie.id, zombie.fence) as lines:
        log.info("late")
        ended = attempt._end(zombie, DONE, lines)

    assert ended is None
    assert heir.fence == zombie.fence + 1
    assert [event for event, _ in events_of(db, zombie)] == ["late"]


def test_an_ending_whose_answer_never_came_leaves_its_lines_once(db, start_run, monkeypatch):
    monkeypatch.setattr(runtime, "engine", lambda: db.engine)
    run = start_run()
    with loglines.kept(db.engine, run.id, run.fence) as lines:
        log.info("counted")
        with db.engine.begin() as conn:
            claims.finish(conn, run, DONE, lines.pending())
        again = attempt._end(run, DONE, lines)

    assert again is not None
    assert [event for event, _ in events_of(db, run)] == ["counted"]


def test_a_line_says_what_was_true_when_it_was_logged(db, start_run):
    run = start_run()
    counts = {"rows": 1}

    with loglines.kept(db.engine, run.id, run.fence):
        log.info("counted", extra={"counts": counts})
        counts["rows"] = 2

    assert events_of(db, run) == [("counted", {"counts": {"rows": 1}})]
