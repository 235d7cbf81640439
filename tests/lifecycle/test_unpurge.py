"""What a purge took comes back as it was, once, and stays."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused
from ocd.datasets.agent_runs import AGENT_QC, AGENT_RUN
from ocd.datasets.agents import AGENT_FEEDBACK, AGENT_QUERIES
from ocd.ledger import holds
from ocd.lifecycle import returning
from ocd.lifecycle.restore import PURGE, purged_dataset
from tests.factories.agents import make_feedback, make_query
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_queries, ids

OLD = NOW.replace(hour=0) - timedelta(days=31)
NASTY = [
    "",
    "\\N",
    "\\.",
    "a\ttab, a\nnewline, a\r return, a \\ backslash, 'single', \"double\"",
    "null \u2400 \u200f right to left, \U0001f9ff, \b\f\v",
    "x" * 100_000,
    "  spaces  ",
    "%s %(name)s {} ; drop table agent_queries; --",
]
DOCUMENTS = [
    {"deep": {"list": [1, 1.50, -0.0, 1e308, None, True, "é\u2028"]}, "": []},
    [[[]]],
    "text",
    {"n": 12345678901234567890123456789},
]


def rows_of(conn, table):
    """Every row of a table as the server prints it, by id."""
    found = {
        row.id: row.line
        for row in conn.execute(text(f"select id, t::text as line from {table} t order by id"))
    }
    conn.rollback()
    return found


def purge_run(conn):
    found = conn.execute(
        text("select max(id) from ocd.run where job = 'lifecycle.purge' and state = 'done'")
    ).scalar_one()
    conn.rollback()
    return str(found)


@pytest.fixture
def purged(conn, prove, delete):
    """2,600 questions that a purge took, with values that COPY has to escape; returns them as printed."""
    add_queries(conn, 2600, created_at=OLD)
    for number, nasty in enumerate(NASTY):
        make_query(
            conn,
            query=nasty,
            result=DOCUMENTS[number % len(DOCUMENTS)],
            latency_ms=None,
            created_at=OLD - timedelta(microseconds=number),
        )
    conn.commit()
    before = rows_of(conn, "agent_queries")
    prove()
    delete()
    assert ids(conn, "agent_queries") == set()
    return before


def test_every_row_comes_back_byte_for_byte_with_its_id(conn, purged, wish, undo):
    report = undo(wish(PURGE, purge_run(conn)))

    assert rows_of(conn, "agent_queries") == purged
    assert report.rows == len(purged)


def test_new_rows_get_ids_behind_those_that_came_back(conn, purged, wish, undo):
    undo(wish(PURGE, purge_run(conn)))

    new = make_query(conn)

    assert new > max(purged)


def test_every_type_of_a_drafts_table_comes_back(conn, prove, delete, wish, undo):
    for labels in ([], ["a,b", '"', "\\", "{}", "null", ""]):
        make_feedback(
            conn,
            labels=labels,
            rubric=DOCUMENTS[0],
            safe_to_send=None,
            notes="\t",
            created_at=OLD,
        )
    conn.commit()
    before = rows_of(conn, "agent_feedback")
    prove()
    delete(AGENT_FEEDBACK)

    undo(wish(PURGE, purge_run(conn)))

    assert rows_of(conn, "agent_feedback") == before


def test_a_dry_run_says_what_the_real_one_does_and_changes_nothing(conn, purged, wish, undo):
    make_query(conn, id=min(purged), query="somebody was faster")
    conn.commit()
    before = rows_of(conn, "agent_queries")

    dry = undo(wish(PURGE, purge_run(conn)), is_dry=True)

    assert rows_of(conn, "agent_queries") == before
    real = undo(wish(PURGE, purge_run(conn)))
    assert dry.returned == real.returned
    assert real.rows == len(purged) - 1


def test_a_row_that_took_the_id_is_named_and_left_as_it_is(conn, purged, wish, undo):
    taken = min(purged)
    make_query(conn, id=taken, query="somebody was faster")
    conn.commit()

    report = undo(wish(PURGE, purge_run(conn)))

    (found,) = report.returned
    assert (found.conflicts, found.conflict_keys) == (1, (taken,))
    after = rows_of(conn, "agent_queries")
    assert "somebody was faster" in after.pop(taken)
    assert after == {key: row for key, row in purged.items() if key != taken}


def test_a_second_time_finds_everything_there(conn, purged, wish, undo):
    undo(wish(PURGE, purge_run(conn)))

    report = undo(wish(PURGE, purge_run(conn)))

    assert (report.rows, report.returned[0].present) == (0, len(purged))
    assert rows_of(conn, "agent_queries") == purged


def scans(conn, table):
    """How often a table was read whole."""
    conn.execute(text("select pg_stat_force_next_flush()"))
    conn.commit()
    found = conn.execute(
        text("select seq_scan from pg_stat_user_tables where relid = to_regclass(:table)"),
        {"table": table},
    ).scalar_one()
    conn.rollback()
    return found


def test_no_batch_reads_the_whole_table(conn, purged, wish, undo, monkeypatch):
    """Not even a table that is small as yet: it grows with every batch."""
    monkeypatch.setattr(returning, "BATCH_ROWS", 500)
    add_queries(conn, 500, created_at=NOW)
    conn.execute(text("analyze agent_queries"))
    conn.commit()
    before = scans(conn, "agent_queries")

    report = undo(wish(PURGE, purge_run(conn)))

    assert report.rows == len(purged)
    assert scans(conn, "agent_queries") == before


def test_only_the_chosen_rows_come_back(conn, purged, wish, undo):
    report = undo(
        wish(PURGE, purge_run(conn), condition="conversation_id = 'c7' -- of one conversation")
    )

    found = conn.execute(text("select distinct conversation_id from agent_queries")).scalars().all()
    assert (found, report.rows) == (["c7"], 52)


@pytest.mark.parametrize(
    "condition",
    [
        "true); delete from ocd.purge_chunk; --",
        "true) or (true",
        "exists (with gone as (delete from agent_feedback returning 1) select from gone)",
        "setval('agent_queries_id_seq', 1) > 0",
        "nextval('agent_queries_id_seq') > 0",
        "set_config('transaction_read_only', 'off', false) = 'off'",
        "id = 1 union select 2",
        "no_such_column",
        "query",
        "1 / (id - id) = 1",
        "id ; commit",
        ") or (id > 0",
        "select 1",
    ],
)
def test_a_condition_can_neither_write_nor_break_out(conn, purged, wish, undo, condition):
    chunks = conn.execute(text("select count(*) from ocd.purge_chunk")).scalar_one()
    conn.rollback()

    with suppress(ConfigError):
        undo(wish(PURGE, purge_run(conn), condition=condition))
    conn.rollback()

    assert conn.execute(text("select count(*) from ocd.purge_chunk")).scalar_one() == chunks
    assert set(rows_of(conn, "agent_queries").items()) <= set(purged.items())
    assert make_query(conn) > max(purged)


@pytest.mark.parametrize(
    "condition", ["no_such_column", "query = 'secret' and", "1 / (id - id) = 1"]
)
def test_a_condition_that_fails_is_told_without_its_words(conn, purged, wish, undo, condition):
    with pytest.raises(ConfigError, match="--where") as failed:
        undo(wish(PURGE, purge_run(conn), condition=condition))

    assert condition not in failed.value.message


def test_the_condition_is_forgotten_when_it_is_done(conn, purged, wish, undo):
    undo(wish(PURGE, purge_run(conn), condition="conversation_id = 'c7'"))

    found = conn.execute(text("select condition, finished_at from ocd.restore_request")).one()
    assert found.condition is None
    assert found.finished_at is not None


def test_what_came_back_is_held_and_the_rest_of_the_table_is_not(
    conn, purged, wish, undo, start_run, delete
):
    other = make_query(conn, created_at=OLD - timedelta(days=1), latency_ms=1)
    conn.commit()

    report = undo(wish(PURGE, purge_run(conn), is_held=True))

    assert f"hold {report.hold} keeps them" in report.summary
    again = delete(
        run=start_run("lifecycle.purge", "2026-11-22", subject={"dataset": "agent_queries"})
    )
    assert again.rows == 1
    assert rows_of(conn, "agent_queries") == purged
    assert other not in purged


def test_a_killed_unpurge_leaves_the_whole_table_held(conn, purged, wish, undo, monkeypatch):
    def crash(*given):
        raise Crash

    monkeypatch.setattr(returning, "_insert", crash)
    with pytest.raises(Crash):
        undo(wish(PURGE, purge_run(conn), is_held=True))
    conn.rollback()

    (found,) = holds.holds(conn, dataset="agent_queries")
    assert holds.of_row(found) == holds.Held()


def test_a_hold_of_somebody_else_stays_as_it_is(conn, purged, wish, undo):
    theirs = holds.place(conn, AGENT_QUERIES, holds.Held(), reason="case 7", placed_by="mara")
    conn.commit()

    report = undo(wish(PURGE, purge_run(conn), is_held=True))

    assert report.hold == theirs
    assert [one["id"] for one in holds.holds(conn)] == [theirs]


def test_without_a_hold_the_next_purge_takes_them_again(
    conn, purged, wish, undo, start_run, delete
):
    first = purge_run(conn)
    undo(wish(PURGE, first))

    again = delete(run=start_run("lifecycle.purge", subject={"dataset": "agent_queries"}))

    assert again.rows == len(purged)
    assert conn.execute(text("select count(*) from ocd.legal_hold")).scalar_one() == 0


def test_rows_stay_away_when_their_parent_is_not_there(conn, prove, delete, wish, undo):
    """A mark refers to its agent's run: the run first, then the mark."""
    at = NOW - timedelta(days=120)
    conn.execute(
        text(
            "insert into agent_run (run_id, agent_name, started_at) values (gen_random_uuid(), 'a', :at)"
        ),
        {"at": at},
    )
    conn.execute(
        text(
            "insert into agent_qc (run_id, quality_score, created_at) select run_id, 3, :at from agent_run"
        ),
        {"at": at},
    )
    conn.commit()
    prove()
    delete(AGENT_QC)
    marks = purge_run(conn)
    delete(AGENT_RUN)
    runs = purge_run(conn)

    early = undo(wish(PURGE, marks))
    undo(wish(PURGE, runs))
    late = undo(wish(PURGE, marks))

    assert (early.rows, early.returned[0].orphans) == (0, 1)
    assert (late.rows, late.returned[0].orphans) == (1, 0)


def test_a_damaged_archive_brings_nothing_back(conn, purged, store, wish, undo):
    path = store.path(next(name for name in store.list("archives") if name.endswith(".zst")))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)

    with pytest.raises(ContractBroken, match="damaged"):
        undo(wish(PURGE, purge_run(conn)))

    assert ids(conn, "agent_queries") == set()


class Crash(BaseException):
    """The process ends here."""


def test_a_killed_run_is_finished_by_the_next(conn, purged, wish, undo, start_run, monkeypatch):
    number = wish(PURGE, purge_run(conn))
    zombie = start_run("lifecycle.unpurge", subject={"request": number}, lease_s=0)
    insert, calls = returning._insert, []

    def crash_once(*given):
        calls.append(1)
        if len(calls) == 2:
            raise Crash
        return insert(*given)

    monkeypatch.setattr(returning, "_insert", crash_once)
    with pytest.raises(Crash):
        undo(number, run=zombie)
    conn.rollback()
    assert 0 < len(ids(conn, "agent_queries")) < len(purged)

    heir = start_run("lifecycle.unpurge", subject={"request": number})
    undo(number, run=heir)

    assert heir.id == zombie.id
    assert rows_of(conn, "agent_queries") == purged


def test_another_database_than_the_one_that_was_named_is_refused(conn, purged, wish, undo):
    with pytest.raises(PolicyRefused, match="--yes-into-live"):
        undo(wish(PURGE, purge_run(conn), confirmed_database="production"))


def test_a_run_that_is_no_purge_is_refused(conn, start_run):
    run = start_run("lifecycle.backup")

    with pytest.raises(ConfigError, match="is no purge"):
        purged_dataset(conn, run.id)


def test_a_trigger_that_changes_rows_is_found_and_the_batch_taken_back(
    conn, db, purged, wish, undo
):
    import psycopg

    with psycopg.connect(db.owner_url) as owner:
        owner.execute("""
            create function ocd.spoil() returns trigger language plpgsql as
              $$ begin new.agent := 'other'; return new; end $$
        """)
        owner.execute(
            "create trigger spoil before insert on agent_queries for each row execute function ocd.spoil()"
        )

    with pytest.raises(ContractBroken, match="other than they were"):
        undo(wish(PURGE, purge_run(conn)))

    assert ids(conn, "agent_queries") == set()


def test_evidence_names_keys_only(conn, purged, wish, undo):
    from ocd.ledger.evidence import to_evidence

    taken = sorted(purged)[:30]
    for key in taken:
        make_query(conn, id=key, query="somebody was faster")
    conn.commit()

    report = undo(wish(PURGE, purge_run(conn), condition="query <> 'secret words'"))

    said = json.dumps(to_evidence(report))
    assert "secret words" not in said
    assert report.returned[0].conflict_keys == tuple(taken[:10])
    assert report.returned[0].conflicts == 30
