"""The ledger forgets its details, archived first, and never the run itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import BackupMissing
from ocd.datasets.ledger import ATTEMPT, DETAIL_WINDOW, LOG_LINE
from tests.factories.clock import NOW

OLD = NOW - DETAIL_WINDOW - timedelta(days=2)


@pytest.fixture
def old_run(conn, db, start_run, end):
    """A run that ended long ago, with its attempt and two log lines."""
    run = start_run("some.job", "2026-01-01")
    end(run)
    with db.engine.begin() as changing:
        changing.execute(
            text("update ocd.attempt set finished_at = :at where run_id = :id"),
            {"at": OLD, "id": run.id},
        )
        changing.execute(
            text("""
                insert into ocd.log_line (run_id, fence, at, level, event)
                values (:id, 1, :old, 'info', 'old'), (:id, 1, :now, 'info', 'new')
            """),
            {"id": run.id, "old": OLD, "now": NOW},
        )
    return run.id


def details(conn, run_id):
    found = {}
    for table in ("attempt", "log_line"):
        statement = f"select count(*) from ocd.{table} where run_id = :id"
        found[table] = conn.execute(text(statement), {"id": run_id}).scalar()
    conn.rollback()
    return found


def test_old_details_go_and_the_run_stays(conn, old_run, prove, delete):
    prove()

    attempts, lines = delete(ATTEMPT), delete(LOG_LINE)

    assert (attempts.rows, lines.rows) == (1, 1)
    assert details(conn, old_run) == {"attempt": 0, "log_line": 1}
    assert (
        conn.execute(text("select state from ocd.run where id = :id"), {"id": old_run}).scalar()
        == "done"
    )


def test_an_attempt_that_runs_is_never_old(conn, db, start_run, prove, delete):
    run = start_run("some.job", "2026-01-01")
    with db.engine.begin() as changing:
        changing.execute(
            text("update ocd.attempt set started_at = :at where run_id = :id"),
            {"at": OLD, "id": run.id},
        )
    prove()

    assert delete(ATTEMPT).rows == 0


def test_without_a_proven_backup_the_ledger_forgets_nothing(conn, old_run, delete):
    with pytest.raises(BackupMissing):
        delete(LOG_LINE)

    assert details(conn, old_run) == {"attempt": 1, "log_line": 2}
