"""Blocks of rows straight from libpq: complete, and the connection is sound whatever ends a COPY."""

from __future__ import annotations

import signal
import threading
import time

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from ocd.lifecycle import copying

NUMBERED = "select i, repeat('x', 90) from generate_series(1, 20000) i"
FAILS_LATE = "select 1 / (15000 - i), repeat('x', 90) from generate_series(1, 20000) i"
# Wide enough that the first rows are sent before it waits.
WAITS = """
    select repeat('x', 90), pg_sleep(case when i = 500 then 30 else 0 end) from generate_series(1, 1000) i
"""


@pytest.fixture
def driver(db):
    with psycopg.connect(db.url) as conn:
        yield conn


def copy_out(driver, store, query, progress=lambda rows: None):
    return copying.copy_out(
        driver.cursor(),
        sql.SQL("{}").format(sql.SQL(query)),
        store,
        "a.zst",
        level=1,
        progress=progress,
    )


def is_sound(driver):
    driver.rollback()
    return driver.execute("select 1").fetchone() == (1,)


def test_every_row_arrives_once_in_order(driver, store):
    copied = copy_out(driver, store, NUMBERED)

    raw = b"".join(copying.read_back(store, "a.zst", stored_sha256=copied.stored.sha256))
    lines = raw.splitlines()
    assert copied.raw_bytes == len(raw) > 5 * copying.BLOCK
    assert [int(line.split(b"\t")[0]) for line in lines] == list(range(1, 20001))
    assert copied.rows == 20000
    assert is_sound(driver)


@pytest.mark.parametrize("rows", [0, 1], ids=["none", "one"])
def test_a_handful_of_rows_arrives(driver, store, rows):
    copied = copy_out(driver, store, f"select i from generate_series(1, {rows}) i")

    assert (copied.rows, b"".join(copying.read_back(store, "a.zst"))) == (rows, b"1\n" * rows)


def test_an_error_of_the_server_between_rows_is_raised_and_leaves_nothing(driver, store):
    with pytest.raises(pg.DivisionByZero):
        copy_out(driver, store, FAILS_LATE)

    assert store.list("") == []
    assert is_sound(driver)


@pytest.mark.parametrize("deed", ["timeout", "cancel", "terminate"])
def test_a_copy_that_the_server_ends_is_raised(driver, db, store, deed):
    ending = {"cancel": "pg_cancel_backend", "terminate": "pg_terminate_backend"}.get(deed)
    if ending is None:
        driver.execute("set statement_timeout = '200ms'")
    else:
        threading.Thread(target=end_soon, args=(db, driver.info.backend_pid, ending)).start()

    with pytest.raises(pg.AdminShutdown if deed == "terminate" else pg.QueryCanceled):
        copy_out(driver, store, WAITS)

    assert store.list("") == []
    assert deed == "terminate" or is_sound(driver)


def end_soon(db, pid, function):
    with psycopg.connect(db.url) as other:
        while not other.execute(
            "select true from pg_stat_activity where pid = %s and wait_event = 'PgSleep'", (pid,)
        ).fetchone():
            other.rollback()
            time.sleep(0.01)
        other.execute(sql.SQL("select {}(%s)").format(sql.Identifier(function)), (pid,))


class TimeLimit(Exception):
    """What Celery raises from a signal's handler."""


@pytest.mark.parametrize("kind", [TimeLimit, KeyboardInterrupt])
def test_a_signal_while_it_waits_ends_the_copy(driver, store, kind):
    def ring(*_):
        raise kind

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(kind):
            copy_out(driver, store, WAITS)
    finally:
        signal.signal(signal.SIGALRM, before)

    assert store.list("") == []
    assert is_sound(driver)


def test_whoever_stops_between_blocks_leaves_a_sound_connection(driver, store):
    def stop(rows):
        raise TimeLimit

    with pytest.raises(TimeLimit):
        copy_out(driver, store, NUMBERED, stop)

    assert store.list("") == []
    assert is_sound(driver)
