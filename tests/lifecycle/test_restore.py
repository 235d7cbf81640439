"""A backup comes back: whole into an empty server, one table or some rows into what is there."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused, SchemaMismatch, UnknownName
from ocd.core.store import FolderStore
from ocd.database import examine
from ocd.datasets.registry import DATASETS
from ocd.lifecycle import drill, portions, restore
from ocd.lifecycle.restore import BACKUP, SCRATCH
from ocd.local import seed
from tests.conftest import KEYS
from tests.factories.agents import make_approval, make_query
from tests.factories.clock import NOW
from tests.lifecycle.conftest import ERASURE_KEY
from tests.lifecycle.rows import add_feedback, add_queries, ids
from tests.lifecycle.test_unpurge import rows_of

SHOP = [one for one in DATASETS if one.is_backed_up and one.schema != "ocd"]


@pytest.fixture
def some(conn):
    """A few rows of the agent tables."""
    add_queries(conn, 600, created_at=NOW)
    add_feedback(conn, created_at=NOW, safe_to_send=None)
    make_approval(conn)
    conn.commit()


@pytest.fixture
def desk(db):
    """A whole desk."""
    with db.engine.begin() as conn:
        seed.seed(conn, rows=600, faults=True, now=NOW, progress=None)


@pytest.fixture
def empty_server(scratch):
    """Gives an empty server that stays until the end of the test, and what its URL is."""
    opened = []

    def start(name):
        context = scratch()
        opened.append(context)
        return context.__enter__()

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def everything(conn):
    return {one.name: rows_of(conn, one.table) for one in SHOP}


def empty(db, *tables):
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        for table in tables:
            owner.execute(f"truncate {table} restart identity cascade")


def test_the_whole_desk_comes_back_into_an_empty_server(
    conn, desk, back_up, wish, bring_back, empty_server
):
    before = everything(conn)
    folder = back_up()
    urls = []

    def kept(name):
        urls.append(empty_server(name))
        return urls[-1]

    report = bring_back(wish(BACKUP, folder, target=SCRATCH), kept_server=kept)

    engine = create_engine(
        sqlalchemy_url(urls[0]), poolclass=NullPool, connect_args={"options": "-c timezone=UTC"}
    )
    with engine.connect() as there:
        assert everything(there) == before
        # The right people see the right rows there, and nobody else does.
        assert list(examine.access(there)) == []
        for dataset in SHOP:
            behind = there.execute(
                text(f"select nextval(pg_get_serial_sequence('{dataset.table}', 'id'))")
            ).scalar_one()
            assert behind > max(before[dataset.name], default=0)
    engine.dispose()
    assert report.rows >= sum(len(rows) for rows in before.values())


def test_the_whole_desk_comes_back_into_a_live_database_that_lost_it(
    conn, db, desk, back_up, wish, bring_back
):
    before = everything(conn)
    folder = back_up()
    empty(db, *(one.table for one in SHOP))

    dry = bring_back(wish(BACKUP, folder), is_dry=True)
    assert not any(everything(conn).values())
    report = bring_back(wish(BACKUP, folder))

    assert dry.returned == report.returned

    assert everything(conn) == before
    assert report.rows == sum(len(rows) for rows in before.values())
    assert {"ledger_attempt", "ledger_log_line", "quality_result"} <= set(report.left_out)
    assert make_query(conn) > max(before["agent_queries"])


def test_one_table_comes_back_and_the_others_stay_as_they_are(
    conn, db, some, back_up, wish, bring_back
):
    before = rows_of(conn, "agent_queries")
    folder = back_up()
    empty(db, "agent_queries", "agent_feedback")

    bring_back(wish(BACKUP, folder, dataset="agent_queries"))

    assert rows_of(conn, "agent_queries") == before
    assert ids(conn, "agent_feedback") == set()


def test_some_rows_come_back(conn, db, some, back_up, wish, bring_back):
    before = rows_of(conn, "agent_queries")
    folder = back_up()
    empty(db, "agent_queries")

    report = bring_back(
        wish(BACKUP, folder, dataset="agent_queries", condition="conversation_id in ('c1', 'c2')")
    )

    after = rows_of(conn, "agent_queries")
    assert report.rows == len(after) == 24
    assert after.items() <= before.items()


def test_some_rows_come_back_into_a_scratch_server(
    conn, some, back_up, wish, bring_back, empty_server
):
    folder, urls = back_up(), []
    number = wish(
        BACKUP, folder, dataset="agent_queries", condition="conversation_id = 'c1'", target=SCRATCH
    )

    def kept(name):
        urls.append(empty_server(name))
        return urls[-1]

    bring_back(number, kept_server=kept)

    with psycopg.connect(urls[0]) as there:
        found = there.execute(
            "select conversation_id, count(*) from agent_queries group by 1"
        ).fetchall()
    assert found == [("c1", 12)]


def test_rows_that_changed_since_are_named_and_left(conn, db, some, back_up, wish, bring_back):
    folder = back_up()
    with db.engine.begin() as writer:
        writer.execute(text("update agent_queries set approved = true where id <= 3"))
        writer.execute(text("delete from agent_queries where id > 590"))
    after = rows_of(conn, "agent_queries")

    dry = bring_back(wish(BACKUP, folder, dataset="agent_queries"), is_dry=True)
    assert rows_of(conn, "agent_queries") == after
    real = bring_back(wish(BACKUP, folder, dataset="agent_queries"))

    (found,) = real.returned
    assert dry.returned == real.returned
    assert (found.inserted, found.present, found.conflicts) == (10, 587, 3)
    assert found.conflict_keys == (1, 2, 3)
    assert {key: rows_of(conn, "agent_queries")[key] for key in after} == after


def test_another_unique_value_is_a_conflict_too(conn, db, back_up, wish, bring_back):
    insert = """
        insert into gold_reply_submissions (conversation_id, original_reply, category, payload_sha256)
        values ('c1', 'r', 'return_refund', repeat('a', 64)) returning id
    """
    with db.engine.begin() as writer:
        old = writer.execute(text(insert)).scalar_one()
    folder = back_up()
    with db.engine.begin() as writer:
        writer.execute(text("delete from gold_reply_submissions"))
        new = writer.execute(text(insert)).scalar_one()

    report = bring_back(wish(BACKUP, folder, dataset="gold_reply_submissions"))

    assert report.returned[0].conflict_keys == (old,)
    assert ids(conn, "gold_reply_submissions") == {new}


def test_a_dry_run_into_scratch_leaves_no_server(conn, some, back_up, wish, bring_back):
    def kept(name):
        raise AssertionError("no server is kept for a dry run")

    report = bring_back(wish(BACKUP, back_up(), target=SCRATCH), is_dry=True, kept_server=kept)

    assert report.rows >= 602


def test_a_database_that_nobody_named_is_refused(conn, some, back_up, wish, bring_back):
    folder = back_up()

    for name in (None, "another"):
        with pytest.raises(PolicyRefused, match="--yes-into-live"):
            bring_back(wish(BACKUP, folder, confirmed_database=name))


def test_a_table_that_lost_a_column_is_refused_and_comes_back_in_scratch(
    conn, db, some, back_up, wish, bring_back, empty_server
):
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("alter table agent_queries add column mood text default 'calm'")
    folder = back_up()
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("alter table agent_queries drop column mood")

    with pytest.raises(SchemaMismatch, match="no column mood"):
        bring_back(wish(BACKUP, folder, dataset="agent_queries"))
    report = bring_back(
        wish(BACKUP, folder, dataset="agent_queries", condition="mood = 'calm'", target=SCRATCH),
        kept_server=empty_server,
    )

    assert report.rows == 600


def test_a_damaged_part_is_told_and_the_others_come_back(
    conn, store, some, back_up, wish, bring_back, empty_server
):
    folder, urls = back_up(), []
    path = store.path(f"{folder}/agent_feedback.copy.zst")
    path.write_bytes(path.read_bytes()[:-9])

    def kept(name):
        urls.append(empty_server(name))
        return urls[-1]

    with pytest.raises(ContractBroken, match="agent_feedback"):
        bring_back(wish(BACKUP, folder, target=SCRATCH), kept_server=kept)

    with psycopg.connect(urls[0]) as there:
        assert there.execute("select count(*) from agent_queries").fetchone() == (600,)


def test_a_forged_manifest_brings_nothing_back(conn, db, store, some, back_up, wish, bring_back):
    folder = back_up()
    path = store.path(f"{folder}/manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"agent":', b'"agenda":'))
    empty(db, "agent_queries")

    with pytest.raises(ContractBroken):
        bring_back(wish(BACKUP, folder))

    assert ids(conn, "agent_queries") == set()


def test_a_backup_is_found_by_number_by_folder_and_as_the_newest(conn, store, some, back_up):
    first, second = back_up("2026-11-22"), back_up("2026-11-23")

    number = first.rsplit("/", 1)[1].split("-")[1]
    assert portions.find_folder(conn, store, number) == first
    assert portions.find_folder(conn, store, second) == second
    assert portions.find_folder(conn, store, "newest") == second


def test_a_backup_is_found_in_the_store_by_a_database_that_never_made_it(
    store, some, back_up, empty_database
):
    from ocd.core import migrate

    folder = back_up()
    migrate.upgrade(empty_database.owner_url)

    with empty_database.engine.connect() as conn:
        found = portions.open_backup(conn, store, portions.find_folder(conn, store, "newest"), KEYS)

    assert found.name == f"{folder}/manifest.json"


def test_unknown_backups_are_told(conn, tmp_path, store, some, back_up):
    with pytest.raises(ConfigError, match="there is no backup"):
        portions.find_folder(conn, FolderStore(tmp_path / "empty"), "newest")
    back_up()
    with pytest.raises(UnknownName):
        portions.find_folder(conn, store, "9999")


def test_conditions_of_runs_that_never_ended_are_forgotten_after_a_week(conn, wish):
    wish(BACKUP, "x", dataset="agent_queries", condition="conversation_id = 'c1'")
    now = conn.execute(text("select clock_timestamp()")).scalar_one()

    assert restore.forget_old(conn, now=now + timedelta(days=6)) == 0
    assert restore.forget_old(conn, now=now + timedelta(days=8)) == 1
    assert conn.execute(text("select condition from ocd.restore_request")).scalar_one() is None


@pytest.fixture
def rehearse(conn, store, scratch, start_run):
    def deed(**examinations):
        return drill.drill(
            conn,
            run=start_run("lifecycle.drill"),
            store=store,
            keys=KEYS,
            key=ERASURE_KEY,
            scratch=scratch,
            examinations=examinations,
        )

    return deed


def test_the_drill_restores_and_examines(conn, desk, back_up, rehearse):
    folder = back_up()

    report = rehearse(access=examine.access, audit=lambda there: examine.faults(there, now=NOW))

    assert (report.backup, report.examined) == (folder, ("access", "audit"))
    assert report.rows_by_dataset["agent_queries"] == len(ids(conn, "agent_queries"))


def test_the_drill_fails_over_what_an_examination_finds(desk, back_up, rehearse):
    back_up()

    def open_to_all(there):
        there.execute(text("grant select on agent_queries to anon"))
        there.execute(
            text("create policy leak on agent_feedback for select to authenticated using (true)")
        )
        there.commit()
        yield from examine.access(there)

    with pytest.raises(ContractBroken, match="anon") as failed:
        rehearse(access=open_to_all)

    assert (
        "whoever is signed in reads rows of others in public.agent_feedback" in failed.value.message
    )


def test_the_drill_fails_without_a_backup(rehearse):
    with pytest.raises(ConfigError, match="no backup"):
        rehearse()
