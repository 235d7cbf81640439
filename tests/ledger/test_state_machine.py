"""The ledger's state machine against a brute-force model: any order of events, the same answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import create_engine, text

from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError, LeaseLost, PolicyRefused, RunCancelled
from ocd.ledger import claims, enqueue, reconcile
from ocd.ledger.claims import Ending
from ocd.ledger.enqueue import Order, What
from ocd.ledger.run import Run
from ocd.ledger.states import MAX_ATTEMPTS, State
from ocd.ledger.windows import Daily

WINDOW = Daily().parse("2026-11-23")
OPEN = {State.WAITING, State.QUEUED, State.RUNNING}
BAD = {State.FAILED, State.REFUSED, State.CANCELLED, State.DEAD}
ENDINGS = {
    "done": Ending(State.DONE, "done", rows=1),
    "failed": Ending(State.FAILED, "failed", error_class="X", error_message="m"),
    "refused": Ending(State.REFUSED, "refused", error_class="X", error_message="m"),
    "cancelled": Ending(State.CANCELLED, "cancelled", error_class="X", error_message="m"),
    "retry": Ending(State.WAITING, "retry", error_class="X", error_message="m", delay_s=3600),
    "drained": Ending(State.QUEUED, "drained"),
}


@dataclass
class Modelled:
    """What a run is, kept in the simplest way."""

    after: tuple[int, ...]
    state: State
    generation: int = 1
    attempt: int = 0
    fence: int = 0
    is_expired: bool = False
    is_timed: bool = False  # waits for its hour
    is_cancel_asked: bool = False
    batches: int = 0
    wrong: set[str] = field(default_factory=set)


class Ledger(RuleBasedStateMachine):
    """Events that can happen to runs, each done to the database and to the model."""

    engine = None
    owner = None
    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[int, Modelled] = {}

    @initialize()
    def begin(self):
        with self.owner.begin() as conn:
            conn.execute(text("truncate ocd.run, ocd.incident restart identity cascade"))
            conn.execute(text("truncate effect"))

    def job(self, run_id):
        return f"job.{list(self.runs).index(run_id)}"

    def pick(self, number, states=None):
        """Return the id of some run, if there is one in those states."""
        ids = [one for one, run in self.runs.items() if states is None or run.state in states]
        return ids[number % len(ids)] if ids else None

    def ready(self, run_id):
        return all(self.runs[one].state is State.DONE for one in self.runs[run_id].after)

    def requeue(self, run_id, *, alone):
        run = self.runs[run_id]
        run.state = State.QUEUED if alone or self.ready(run_id) else State.WAITING
        run.generation += 1
        run.attempt, run.is_cancel_asked, run.is_timed = 0, False, False

    @precondition(lambda self: len(self.runs) < 5)
    @rule(first=st.integers(0, 9), second=st.integers(0, 9), count=st.sampled_from([0, 1, 2, 2]))
    def place(self, first, second, count):
        known = {self.pick(first), self.pick(second)} - {None}
        after = tuple(sorted(known))[:count]
        order = Order(f"job.{len(self.runs)}", WINDOW, "short", flow="some")

        with self.engine.begin() as conn:
            placed = enqueue.add(conn, order, after=after)

        run = Modelled(after, State.QUEUED)
        self.runs[placed.run_id] = run
        run.state = State.QUEUED if self.ready(placed.run_id) else State.WAITING
        assert (placed.what, placed.is_ready) == (What.NEW, run.state is State.QUEUED)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9), retry_ended=st.booleans(), force=st.booleans())
    def place_again(self, number, retry_ended, force):
        run_id = self.pick(number)
        run = self.runs[run_id]
        order = Order(self.job(run_id), WINDOW, "short", flow="some")

        with self.engine.begin() as conn:
            placed = enqueue.add(conn, order, retry_ended=retry_ended, force=force)

        if run.state in OPEN:
            expected = What.OPEN
        elif run.state is State.DONE and not force:
            expected = What.DONE
        elif not (retry_ended or force):
            expected = What.ENDED
        else:
            expected = What.REQUEUED
            self.requeue(run_id, alone=True)
        assert (placed.run_id, placed.what) == (run_id, expected)

    @precondition(lambda self: self.runs)
    @rule(target=handles, number=st.integers(0, 9), is_dying=st.booleans(), of_any=st.booleans())
    def claim(self, number, is_dying, of_any):
        run_id = None if of_any else self.pick(number, {State.QUEUED, State.RUNNING})
        run_id = run_id or self.pick(number)
        run = self.runs[run_id]

        handle = self.take(run_id, self.job(run_id), 0 if is_dying else 3600)

        may = run.state is State.QUEUED or (
            run.state is State.RUNNING and run.is_expired and run.attempt < MAX_ATTEMPTS
        )
        assert (handle is not None) == may
        if handle is None:
            return multiple()
        run.state, run.is_expired = State.RUNNING, is_dying
        run.attempt += 1
        run.fence += 1
        assert (handle.fence, handle.attempt) == (run.fence, run.attempt)
        return handle

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def claim_by_a_forged_message(self, number):
        assert self.take(self.pick(number), "job.other", 3600) is None

    def take(self, run_id, job, lease_s):
        return claims.claim(self.engine, run_id, job=job, worker="w", lease_s=lease_s)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9), how=st.sampled_from(sorted(ENDINGS)))
    def worker_sleeps_past_its_lease_and_wakes_up(self, number, how):
        """The zombie's batch and ending come after its heir has claimed: neither may count."""
        run_id = self.pick(number, {State.QUEUED})
        if run_id is None or self.runs[run_id].attempt > 1:
            return
        zombie = self.take(run_id, self.job(run_id), 0)
        heir = self.take(run_id, self.job(run_id), 3600)
        run = self.runs[run_id]
        run.state, run.is_expired = State.RUNNING, False
        run.attempt += 2
        run.fence += 2
        self.batch(zombie)
        self.finish(zombie, how)
        self.batch(heir)
        self.finish(heir, how)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def workers_die_one_after_the_other(self, number):
        run_id = self.pick(number, {State.QUEUED})
        if run_id is None:
            return
        run = self.runs[run_id]
        while self.take(run_id, self.job(run_id), 0) is not None:
            run.state, run.is_expired = State.RUNNING, True
            run.attempt += 1
            run.fence += 1
            assert run.attempt <= MAX_ATTEMPTS
        assert run.attempt == MAX_ATTEMPTS

    @rule(handle=handles)
    def batch(self, handle: Run):
        run = self.runs[handle.id]
        holds = run.state is State.RUNNING and run.fence == handle.fence

        outcome = None
        try:
            with self.engine.connect() as conn, handle.batch(conn):
                conn.execute(text("insert into effect (run_id) values (:id)"), {"id": handle.id})
        except (LeaseLost, RunCancelled) as error:
            outcome = type(error)

        if not holds:
            assert outcome is LeaseLost
            return
        run.batches += 1
        run.is_expired = handle.lease_s == 0
        assert outcome is (RunCancelled if run.is_cancel_asked else None)

    @rule(handle=consumes(handles), how=st.sampled_from([*sorted(ENDINGS), *["done"] * 5]))
    def finish(self, handle: Run, how):
        run = self.runs[handle.id]
        holds = run.state is State.RUNNING and run.fence == handle.fence

        try:
            with self.engine.begin() as conn:
                ended = claims.finish(conn, handle, ENDINGS[how])
        except LeaseLost:
            assert not holds
            return

        assert holds
        run.state = ENDINGS[how].state
        run.is_timed = how == "retry"
        run.attempt -= how == "drained"
        if run.state in {State.FAILED, State.REFUSED}:
            run.wrong.add(f"{run.state}:X")
        assert set(ended.ready) == (self.follow(handle.id) if how == "done" else set())

    def follow(self, run_id):
        """End a run well: what was wrong with it is mended, what waits for it alone is ready."""
        self.runs[run_id].wrong.clear()
        ready = {
            one
            for one, run in self.runs.items()
            if run.state is State.WAITING
            and not run.is_timed
            and run_id in run.after
            and self.ready(one)
        }
        for one in ready:
            self.runs[one].state = State.QUEUED
        return ready

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def worker_falls_silent(self, number):
        run_id = self.pick(number, {State.RUNNING})
        if run_id is not None:
            self.change(run_id, "lease_until = clock_timestamp() - interval '1 second'")
            self.runs[run_id].is_expired = True

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def hour_comes(self, number):
        timed = [
            one for one, run in self.runs.items() if run.is_timed and run.state is State.WAITING
        ]
        if timed:
            self.change(
                timed[number % len(timed)], "not_before = clock_timestamp() - interval '1 second'"
            )
            self.sweep()

    def change(self, run_id, assignment):
        statement = f"update ocd.run set {assignment} where id = :id"
        with self.owner.begin() as conn:
            conn.execute(text(statement), {"id": run_id})

    @rule()
    def sweep(self):
        found = reconcile.sweep(self.engine, lambda run_id: None)

        expired = {
            one for one, run in self.runs.items() if run.state is State.RUNNING and run.is_expired
        }
        dead = {one for one in expired if self.runs[one].attempt >= MAX_ATTEMPTS}
        assert (set(found.dead), set(found.reaped)) == (dead, expired - dead)
        for one in expired:
            self.runs[one].state = State.DEAD if one in dead else State.QUEUED
            self.runs[one].is_expired = False
        for one in dead:
            self.runs[one].wrong.add("dead:WorkerLost")
        for one in found.due:
            assert self.runs[one].is_timed
            self.runs[one].state, self.runs[one].is_timed = State.QUEUED, False

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def cancel(self, number):
        run_id = self.pick(number)
        run = self.runs[run_id]
        if run.state not in OPEN:
            with self.engine.begin() as conn, pytest.raises(ConfigError):
                enqueue.cancel(conn, run_id)
            return

        with self.engine.begin() as conn:
            found = enqueue.cancel(conn, run_id)

        run.is_cancel_asked = True
        if run.state is not State.RUNNING:
            run.state, run.is_timed = State.CANCELLED, False
        assert found.state is run.state

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9), force=st.booleans())
    def rerun(self, number, force):
        run_id = self.pick(number)
        may = self.runs[run_id].state in BAD or (self.runs[run_id].state is State.DONE and force)
        try:
            with self.engine.begin() as conn:
                enqueue.rerun(conn, run_id, force=force, requested_by=None)
        except PolicyRefused:
            assert not may
            return

        assert may
        self.requeue(run_id, alone=False)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def rerun_from_failed(self, number):
        with self.engine.begin() as conn:
            placed = enqueue.rerun_flow(conn, self.pick(number), requested_by=None)

        bad = sorted(one for one, run in self.runs.items() if run.state in BAD)
        assert [one.run_id for one in placed] == bad
        for one in bad:
            self.requeue(one, alone=False)

    @invariant()
    def the_ledger_is_the_model(self):
        with self.engine.connect() as conn:
            rows = conn.execute(
                text("select id, state, generation, attempt, fence from ocd.run")
            ).all()
            counted = conn.execute(text("select run_id, count(*) from effect group by 1"))
            effects = {row.run_id: row.count for row in counted}
        assert {row.id: tuple(row)[1:] for row in rows} == {
            one: (run.state.value, run.generation, run.attempt, run.fence)
            for one, run in self.runs.items()
        }
        assert effects == {one: run.batches for one, run in self.runs.items() if run.batches}

    @invariant()
    def every_fence_has_its_attempt_and_only_a_running_run_an_open_one(self):
        with self.engine.connect() as conn:
            rows = conn.execute(
                text("""
                    select run_id, count(*), count(*) filter (where finished_at is null) as open
                    from ocd.attempt group by run_id
                """)
            ).all()
        assert {row.run_id: (row.count, row.open) for row in rows} == {
            one: (run.fence, int(run.state is State.RUNNING))
            for one, run in self.runs.items()
            if run.fence
        }

    @invariant()
    def an_incident_is_open_for_every_bad_end_that_nothing_mended(self):
        with self.engine.connect() as conn:
            rows = conn.execute(
                text("select kind, run_id, error_class from ocd.incident where closed_at is null")
            ).all()
        assert sorted((row.run_id, f"{row.kind}:{row.error_class}") for row in rows) == sorted(
            (one, wrong) for one, run in self.runs.items() for wrong in run.wrong
        )


def test_any_order_of_events_gives_what_the_model_says(db):
    Ledger.engine = create_engine(sqlalchemy_url(db.url), pool_size=1)
    Ledger.owner = create_engine(sqlalchemy_url(db.owner_url), pool_size=1)
    with Ledger.owner.begin() as conn:
        conn.execute(text("create table effect (run_id bigint)"))
        conn.execute(text("grant insert, select on effect to ocd_worker"))

    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    Ledger.engine.dispose()
    Ledger.owner.dispose()
