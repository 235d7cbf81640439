"""How far a purge goes by itself, whom it waits for, and what it says of the rest."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors as pg
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from ocd.core.db import redacted, sqlalchemy_url
from ocd.core.errors import ApprovalNeeded, BackupMissing, ConfigError, PolicyRefused
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_QUERIES
from ocd.datasets.ledger import LOG_LINE
from ocd.ledger import approvals, claims, retention
from ocd.ledger.evidence import to_evidence
from ocd.ledger.windows import Daily
from ocd.lifecycle import archive, pace
from ocd.lifecycle.policy import Limits
from ocd.lifecycle.purge import plan, purge
from tests.conftest import at
from tests.factories.clock import NOW
from tests.lifecycle.conftest import TERMS
from tests.lifecycle.rows import add_approval, add_queries, ids

END = NOW.replace(hour=0)
OLD = END - timedelta(days=31)
CAPPED = replace(TERMS, limits=Limits())


@pytest.fixture
def order(start_run):
    return lambda: start_run("lifecycle.purge", subject={"dataset": "agent_queries"})


@pytest.fixture
def say_yes(db):
    def approve(run):
        with db.engine.begin() as other:
            approvals.approve(other, run.id, reason="agreed", approved_by="mara", may_be_same=False)

    return approve


def look(conn, terms=TERMS, dataset=AGENT_QUERIES):
    return plan(conn, dataset, now=NOW, window=Daily().parse("2026-11-23"), terms=terms)


def left(conn):
    return len(ids(conn, "agent_queries"))


def test_a_purge_that_takes_too_much_asks_and_goes_on_once_approved(
    conn, prove, order, say_yes, delete
):
    add_queries(conn, 300, created_at=OLD)
    add_queries(conn, 700, created_at=END)
    prove()
    run = order()
    with pytest.raises(ApprovalNeeded, match=r"agent_queries: 30 % of the table would be deleted"):
        delete(run=run, terms=CAPPED)
    assert left(conn) == 1000
    say_yes(run)

    assert delete(run=run, terms=CAPPED).rows == 300


def test_an_approval_does_not_cover_rows_that_came_later(conn, prove, order, say_yes, delete):
    add_queries(conn, 300, created_at=OLD)
    add_queries(conn, 700, created_at=END)
    prove()
    run = order()
    with pytest.raises(ApprovalNeeded):
        delete(run=run, terms=CAPPED)
    say_yes(run)
    add_queries(conn, 200, created_at=OLD)

    with pytest.raises(ApprovalNeeded, match="42 %"):
        delete(run=run, terms=CAPPED)

    assert left(conn) == 1200


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def kill_in(monkeypatch):
    """Kill whoever reads back the archive of batch number so many."""

    def arrange(number):
        compare, compared = archive._compare_with_storage, []

        def compare_or_die(*given):
            compared.append(given)
            if len(compared) == number:
                raise Killed
            compare(*given)

        monkeypatch.setattr(archive, "_compare_with_storage", compare_or_die)

    return arrange


def test_a_limit_is_about_the_whole_plan_and_not_about_what_is_left_of_it(
    conn, prove, start_run, delete, kill_in
):
    """An attempt that was stopped half way does not slip the rest below the cap."""
    add_queries(conn, 700, created_at=OLD)
    add_queries(conn, 1300, created_at=END)
    prove()
    subject = {"dataset": "agent_queries"}
    kill_in(2)
    with pytest.raises(Killed):
        delete(run=start_run("lifecycle.purge", subject=subject, lease_s=0))
    assert left(conn) == 1500  # of which 200 are due: 13 %

    with pytest.raises(ApprovalNeeded, match="35 %"):
        delete(run=start_run("lifecycle.purge", subject=subject), terms=CAPPED)


def test_a_purge_that_was_done_but_not_told_is_told_by_the_next_try(
    conn, db, store, keeper_for, prove, start_run
):
    """Whatever happened to its proof meanwhile: there is nothing left to be refused."""
    add_queries(conn, 300, created_at=OLD)
    prove()
    run = start_run("lifecycle.purge", subject={"dataset": "agent_queries"}, lease_s=0)
    report = purge(
        conn, AGENT_QUERIES, run=run, store=store, keeper=keeper_for(run), now=NOW, terms=TERMS
    )

    heir = claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30)

    assert heir.settled.rows == 300
    assert to_evidence(heir.settled) == to_evidence(report)


def test_a_taken_over_purge_reports_all_that_its_run_deleted(
    conn, prove, start_run, delete, kill_in
):
    add_queries(conn, 700, created_at=OLD)
    prove()
    subject = {"dataset": "agent_queries"}
    kill_in(2)
    with pytest.raises(Killed):
        delete(run=start_run("lifecycle.purge", subject=subject, lease_s=0))

    report = delete(run=start_run("lifecycle.purge", subject=subject))

    assert (report.rows, report.rows_by_rule) == (
        700,
        {"slow": 0, "fast": 200, "earlier attempts": 500},
    )


@pytest.mark.parametrize(
    ("terms", "asks"),
    [
        (replace(TERMS, limits=Limits(share_percent=100, rows=9)), {"rows": 10}),
        (replace(TERMS, clock_skew=timedelta(seconds=90)), {"clock_skew_minutes": 2}),
        (replace(TERMS, days=20), {"below_policy_days": 10}),
    ],
    ids=["rows", "clocks", "below policy"],
)
def test_each_limit_stops_the_purge_and_is_told_by_the_dry_run(conn, prove, delete, terms, asks):
    add_queries(conn, 10, created_at=OLD)
    prove()

    with pytest.raises(ApprovalNeeded):
        delete(terms=terms)

    assert look(conn, terms).asks == asks
    assert left(conn) == 10


def test_a_cutoff_far_past_the_last_purges_asks(conn, prove, start_run, end, delete):
    add_queries(conn, 10, created_at=OLD)
    prove("2026-11-01")
    subject = {"dataset": "agent_queries"}
    delete(run=start_run("lifecycle.purge", "2026-11-01", subject=subject), terms=CAPPED)
    prove()

    with pytest.raises(ApprovalNeeded, match="the cutoff is 22 days past the last purge's"):
        delete(terms=CAPPED)


def test_more_days_than_policy_need_nobody(conn, prove, delete):
    add_queries(conn, 10, created_at=OLD)
    add_queries(conn, 5, created_at=END - timedelta(days=61))
    prove()

    assert delete(terms=replace(TERMS, days=60)).rows == 5


def test_a_policy_row_keeps_rows_longer(conn, prove, delete):
    add_queries(conn, 10, created_at=OLD)
    retention.lengthen(conn, AGENT_QUERIES, "fast", 60, reason="audit", set_by="mara")
    conn.commit()
    prove()

    assert delete().rows == 0


def test_a_policy_row_that_comes_while_a_purge_runs_stops_it(conn, db, prove, delete, monkeypatch):
    add_queries(conn, 700, created_at=OLD)
    prove()
    compare = archive._compare_with_storage

    def compare_and_be_lengthened(*given):
        with db.engine.begin() as other:
            retention.lengthen(other, AGENT_QUERIES, "fast", 60, reason="audit", set_by="mara")
        compare(*given)

    monkeypatch.setattr(archive, "_compare_with_storage", compare_and_be_lengthened)
    with pytest.raises(PolicyRefused, match="the policy changed meanwhile; `ocd rerun"):
        delete()

    assert left(conn) == 200


def test_a_newer_failed_verification_ends_the_trust_in_older_ones(conn, prove, order, delete):
    """Of whatever backup: the table's copies do not come out equal, and nobody looked yet."""
    add_queries(conn, 10, created_at=OLD)
    prove()
    prove("2026-11-24", is_equal=False)
    run = order()
    with pytest.raises(BackupMissing):
        delete(run=run)
    assert left(conn) == 10

    prove("2026-11-25")

    assert delete(run=run).rows == 10


def test_a_failed_verification_stops_a_purge_that_runs(conn, prove, delete, monkeypatch):
    add_queries(conn, 700, created_at=OLD)
    prove()
    compare = archive._compare_with_storage

    def compare_and_fail(*given):
        monkeypatch.setattr(archive, "_compare_with_storage", compare)
        prove_later()
        compare(*given)

    def prove_later():
        with psycopg.connect(
            conn.engine.url.set(drivername="postgresql").render_as_string(False)
        ) as other:
            other.execute("""
                insert into ocd.verification (run_id, backup_run_id, dataset, rows, content_hash, is_equal)
                select run_id, backup_run_id, dataset, rows, content_hash, false from ocd.verification
                where dataset = 'agent_queries'
            """)

    monkeypatch.setattr(archive, "_compare_with_storage", compare_and_fail)
    with pytest.raises(BackupMissing):
        delete()

    assert left(conn) == 200


def test_locked_rows_are_put_off_and_taken_at_the_end(conn, db, prove, delete):
    add_queries(conn, 12_000, created_at=OLD)
    prove()
    locker = psycopg.connect(db.owner_url)
    locker.execute("set row_security = off")
    locker.execute("select from agent_queries order by id limit 3 for update")

    def let_go_behind_another_batch():
        with psycopg.connect(db.superuser_url, autocommit=True) as look:
            while look.execute("select count(*) from ocd.purge_chunk").fetchone() == (0,):
                time.sleep(0.005)
        locker.rollback()

    threading.Thread(target=let_go_behind_another_batch, daemon=True).start()

    report = delete(terms=replace(TERMS, batch_rows=2000))

    locker.close()
    assert (report.rows, report.skipped_locked, left(conn)) == (12_000, 0, 0)


def test_rows_that_stay_locked_are_reported_and_the_others_go(conn, db, prove, delete):
    add_queries(conn, 1600, created_at=OLD)
    prove()
    with psycopg.connect(db.owner_url) as locker:
        locker.execute("select from agent_queries order by id limit 3 for update")
        started = time.monotonic()

        report = delete()

        took_s = time.monotonic() - started
    assert (report.rows, report.skipped_locked, report.changed) == (1597, 3, 0)
    assert left(conn) == 3
    assert took_s < 10
    assert report.summary.endswith("3 locked")


def test_a_locked_table_ends_the_attempt_and_takes_nothing(conn, db, prove, delete):
    add_queries(conn, 10, created_at=OLD)
    prove()
    with psycopg.connect(db.owner_url) as locker:
        locker.execute("lock table agent_queries in access exclusive mode")

        with pytest.raises(pg.LockNotAvailable):
            delete()

    conn.rollback()
    assert left(conn) == 10


def test_locked_rows_of_a_table_that_nobody_updates_are_reported(
    conn, db, start_run, prove, delete
):
    """Skipping what is locked takes the right to update, which the worker has not on log lines."""
    run = start_run("some.job", "2026-01-01")
    conn.execute(
        text("""
            insert into ocd.log_line (run_id, fence, at, level, event)
            select :run, 1, :old, 'info', 'e' from generate_series(1, 5)
        """),
        {"run": run.id, "old": END - timedelta(days=99)},
    )
    conn.commit()
    prove()
    with psycopg.connect(db.owner_url) as locker:
        locker.execute("select from ocd.log_line where event = 'e' limit 1 for update")

        report = delete(LOG_LINE)

    assert (report.rows, report.skipped_locked) == (0, 5)
    assert delete(LOG_LINE).rows == 5


def test_a_purge_whose_time_is_up_ends_well_and_the_next_one_goes_on(
    conn, prove, start_run, delete, monkeypatch
):
    add_queries(conn, 2700, created_at=OLD)
    prove()
    looked = []
    monkeypatch.setattr(
        pace.Pace, "is_over", property(lambda self: looked.append(1) or len(looked) > 1)
    )

    report = delete()

    assert (report.rows, report.backlog) == (500, 2200)
    assert report.summary.endswith("2,200 left for the next night")
    assert report.archive is not None
    monkeypatch.undo()
    assert (
        delete(run=start_run("lifecycle.purge", subject={"dataset": "agent_queries"})).rows == 2200
    )


def test_a_purge_rests_while_a_replica_is_behind(conn, db, start_run, monkeypatch):
    lags = iter([20.0, 11.0, 3.0])
    slept = []
    monkeypatch.setattr(pace, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(pace.Pace, "_sleep", lambda self, run, seconds: slept.append(seconds))
    monkeypatch.setattr(pace, "_LAG", text("select cast(:lag as float)"))
    execute = conn.execute
    monkeypatch.setattr(
        conn,
        "execute",
        lambda what, *given: execute(
            what.bindparams(lag=next(lags)) if what is pace._LAG else what, *given
        ),
    )

    pace.Pace(timedelta(minutes=1)).rest(conn, start_run(), 0.01)

    assert slept == [0.0, 0.0, 0.0]


def test_a_login_under_row_security_is_refused_and_deletes_nothing(
    conn, db, server, prove, order, store, keeper_for
):
    """It would see none of the rows, and a purge or a dry run of none would look well."""
    add_queries(conn, 10, created_at=OLD)
    prove()
    with psycopg.connect(db.superuser_url, autocommit=True) as superuser:
        superuser.execute("create role seesless login password 'x'")
        superuser.execute("grant ocd_worker to seesless")  # every right, but not bypassrls
    try:
        url = at(db.url, user="seesless", password="x")
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        for deed in ("look", "purge"):
            with engine.connect() as blind, pytest.raises((DBAPIError, psycopg.Error)) as caught:
                if deed == "look":
                    look(blind)
                else:
                    run = order()
                    purge(
                        blind,
                        AGENT_QUERIES,
                        run=run,
                        store=store,
                        keeper=keeper_for(run),
                        now=NOW,
                        terms=TERMS,
                    )
            assert isinstance(redacted(caught.value), ConfigError)
        engine.dispose()
    finally:
        with psycopg.connect(db.superuser_url, autocommit=True) as superuser:
            superuser.execute("drop role seesless")
    assert left(conn) == 10


def test_a_login_that_may_cleans_up_behind_itself(conn, db, prove, delete):
    add_queries(conn, 700, created_at=OLD)
    prove()
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("grant maintain on agent_queries to ocd_worker")

    report = delete()

    assert report.is_vacuumed
    with psycopg.connect(db.superuser_url) as superuser:
        (count,) = superuser.execute(
            "select vacuum_count from pg_stat_user_tables where relname = 'agent_queries'"
        ).fetchone()
    assert count == 1


def test_a_login_that_may_not_leaves_it_to_autovacuum(conn, prove, delete):
    add_queries(conn, 10, created_at=OLD)
    prove()

    assert delete().is_vacuumed is False


def test_pending_approvals_are_flagged_after_ninety_days(conn, prove):
    for days in (91, 400, 89):
        add_approval(
            conn, created_at=END - timedelta(days=days), status="pending", resolved_at=None
        )
    prove()

    report = look(conn, dataset=AGENT_APPROVALS)

    assert (report.rows, report.flagged) == (0, {"pending": 2})
