"""The page tells of every table, purge and backup what the database and the ledger say, bad news first."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest

from ocd.core.errors import ApprovalNeeded
from ocd.datasets.agents import AGENT_QUERIES
from ocd.datasets.registry import DATASETS
from ocd.ledger import approvals, claims, holds
from ocd.ledger.claims import Ending
from ocd.ledger.holds import Held
from ocd.ledger.states import State
from ocd.ledger.windows import Daily
from ocd.lifecycle import page, purge
from ocd.lifecycle.backup import backup
from ocd.lifecycle.verify import verify
from tests.conftest import KEYS
from tests.factories.clock import NOW
from tests.lifecycle.conftest import TERMS
from tests.lifecycle.rows import add_queries

END = NOW.replace(hour=0)
OLD, NEW = END - timedelta(days=31), END - timedelta(days=2)


@pytest.fixture
def write(conn, store, keeper_for, start_run, end):
    """Write the page in a run of its own: write() -> (report, words of the page)."""

    def deed():
        run = start_run("lifecycle.page")
        report = page.write(
            conn,
            run=run,
            keeper=keeper_for(run),
            now=NOW,
            plan=lambda conn, dataset: purge.plan(
                conn, dataset, now=NOW, window=Daily().parse("2026-11-23"), terms=TERMS
            ),
        )
        end(run, report)
        content = b"".join(store.open(report.page)).decode()
        return report, re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", content.split("<main>")[1]))

    return deed


@pytest.fixture
def proved(conn, db, store, keeper_for, start_run, end, scratch):
    """Make a backup and prove it."""

    def deed():
        run = start_run("lifecycle.backup")
        end(run, backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS))
        with psycopg.connect(db.superuser_url) as clock:  # the worker cannot date a backup
            clock.execute("update ocd.backup_table set snapshot_at = %s", [NOW])
        proof = start_run("lifecycle.verify")
        keeper = keeper_for(proof)
        end(proof, verify(conn, run=proof, store=store, keeper=keeper, keys=KEYS, scratch=scratch))

    return deed


def test_without_a_proved_backup_nothing_may_be_purged_and_the_page_says_so(conn, write):
    add_queries(conn, 3, created_at=OLD)

    report, words = write()

    with_retention = sum(one.retention is not None for one in DATASETS)
    assert (report.refused, report.backup_level, report.backlog) == (with_retention, None, 0)
    assert "No backup is proved." in words
    assert f"{with_retention} of {report.tables} tables may not be purged" in words
    assert "agent_queries: no verified backup newer than" in words


def test_a_proved_backup_is_shown_with_its_level_and_restore_time(proved, write):
    proved()

    report, words = write()

    assert (report.backup_level, report.refused) == (4, 0)
    assert report.backup_age_s == 0
    assert "The newest proved backup is 0 s old: L4" in words
    assert "No row is past its time." in words


def test_rows_past_their_time_are_counted_and_held_ones_told_apart(conn, proved, write):
    add_queries(conn, 50, created_at=OLD)
    add_queries(conn, 7, created_at=NEW)
    holds.place(conn, AGENT_QUERIES, Held(conversation_id="c1"), reason="case 7", placed_by="mara")
    conn.commit()
    proved()

    report, words = write()

    (row,) = re.findall(r"last purge .* agent_queries (.*?) ledger_attempt", words)
    assert report.backlog == 49
    assert "49 rows are past their time" in words
    assert re.fullmatch(r"[\d.]+ kB 57 2026-10-24 00:00 UTC slow 180 d, fast 30 d 49 1 never", row)


def test_what_purges_did_and_left_is_told(conn, proved, delete, write):
    add_queries(conn, 5, created_at=OLD)
    proved()
    delete(AGENT_QUERIES)

    _, words = write()

    assert "done 5 rows" in words
    table = r"{} [\d.: -]*numbers when \(UTC\) {} 11-23 00:00 {} "
    assert re.search(table.format("Rows purged per night", "agent_queries", 5), words)
    assert re.search(table.format("Rows left for the next night", "rows", 0), words)


def test_a_night_that_ended_badly_leaves_a_gap_not_a_zero(conn, db, start_run, write):
    run = start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
    with db.engine.begin() as other:
        claims.finish(other, run, Ending(State.FAILED, "failed", error_class="X"))

    _, words = write()

    assert "failed" in words
    assert "Rows left for the next night no values yet" in words


def test_what_a_run_asks_is_asked_on_the_page_without_breaking_it(conn, start_run, write):
    with pytest.raises(ApprovalNeeded):
        run = start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
        approvals.require(conn, run, fingerprint="x", asks={"rows": 1}, question="take <b>all</b>?")

    _, words = write()

    assert f"Run {run.id} asks: take &lt;b&gt;all&lt;/b&gt;?" in words
    assert f"ocd approve {run.id}" in words
