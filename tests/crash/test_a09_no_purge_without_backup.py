"""A9: nothing is purged unless a backup of it was verified, lately, and is still there whole."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from ocd.ledger.windows import Daily

ROWS = 300
#: The night is over; whatever day the test runs on.
NIGHT = Daily().last_closed(datetime.now(UTC) - timedelta(hours=2))


def run_to_end(stack, job, **params) -> dict:
    run_id = stack.order_night(job, NIGHT, **params)
    stack.send(job, run_id)
    stack.wait_for_end(run_id)
    return stack.run(run_id)


def purge(stack) -> dict:
    return run_to_end(stack, "lifecycle.purge", dataset="agent_queries")


def rows_left(stack) -> int:
    return stack.value("select count(*) from agent_queries")


def add_old_rows(stack) -> None:
    stack.run_sql(
        "insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at)"
        " select 'q', '{}', 'c' || i, 'support', 20, clock_timestamp() - interval '400 days'"
        " from generate_series(1, %s) i",
        ROWS,
    )


def start_worker(stack) -> None:
    stack.worker(
        OCD_PURGE_ENABLED="true",
        OCD_PURGE_MAX_SHARE_PERCENT="100",
        OCD_LEASE_S="10",
        OCD_RECONCILE_S="60",
    )


@pytest.fixture
def proved(stack):
    """A stack with old rows, whose backup was verified."""
    add_old_rows(stack)
    start_worker(stack)
    assert run_to_end(stack, "lifecycle.backup")["state"] == "done"
    assert run_to_end(stack, "lifecycle.verify")["state"] == "done"
    return stack


def copy_of(stack):
    (path,) = (stack.home / "artifacts").rglob("backups/**/agent_queries*.zst")
    return path


@contextmanager
def deleted(stack):
    """The copy is gone."""
    path = copy_of(stack)
    path.rename(path.with_suffix(".away"))
    yield
    path.with_suffix(".away").rename(path)


@contextmanager
def corrupted(stack):
    """One bit of the copy is another."""
    path = copy_of(stack)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    yield
    path.write_bytes(whole)


@contextmanager
def too_old(stack):
    """The copy was verified in an earlier night, a minute before trust ended."""
    stack.run_sql(
        "update ocd.verification set verified_at = verified_at - interval '26 hours 1 minute'"
    )
    stack.run_sql(
        "update ocd.run set window_start = window_start - interval '1 day', window_end = window_end - interval '1 day'"
        " where job in ('lifecycle.backup', 'lifecycle.verify')"
    )
    yield
    stack.run_sql(
        "update ocd.verification set verified_at = verified_at + interval '26 hours 1 minute'"
    )
    stack.run_sql(
        "update ocd.run set window_start = window_start + interval '1 day', window_end = window_end + interval '1 day'"
        " where job in ('lifecycle.backup', 'lifecycle.verify')"
    )


@pytest.mark.parametrize("spoilt", [deleted, corrupted, too_old])
def test_a9_a_purge_is_refused_where_the_backup_cannot_be_trusted(proved, spoilt):
    before = rows_left(proved)

    with spoilt(proved):
        run = purge(proved)

    assert run["state"] == "refused"
    assert "lifecycle.backup" in run["error_message"]
    assert rows_left(proved) == before
    assert proved.value(
        "select count(*) from ocd.incident where run_id = %s and closed_at is null", run["id"]
    )


def test_a9_a_purge_behind_a_whole_and_fresh_backup_is_done(proved):
    run = purge(proved)

    assert run["state"] == "done"
    assert rows_left(proved) == 0


def test_a9_a_purge_without_any_backup_is_refused(stack):
    add_old_rows(stack)
    start_worker(stack)

    run = purge(stack)

    assert (run["state"], run["error_class"]) == ("refused", "BackupMissing")
    assert rows_left(stack) == ROWS


def test_a9_a_backup_damaged_before_it_was_verified_stops_the_night(stack):
    add_old_rows(stack)
    start_worker(stack)
    assert run_to_end(stack, "lifecycle.backup")["state"] == "done"

    with corrupted(stack):
        verified = run_to_end(stack, "lifecycle.verify")
    run = purge(stack)

    assert (verified["state"], verified["error_class"]) == ("failed", "ContractBroken")
    assert (run["state"], run["error_class"]) == ("refused", "BackupMissing")
    assert rows_left(stack) == ROWS
