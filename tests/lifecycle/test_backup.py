"""Copies of one snapshot, whole or not at all."""

from __future__ import annotations

import json
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from ocd.core.db import redacted, sqlalchemy_url
from ocd.core.errors import ConfigError, LeaseLost, SchemaMismatch
from ocd.ledger import claims
from ocd.ledger.claims import Ending
from ocd.ledger.evidence import to_evidence
from ocd.ledger.states import State
from ocd.lifecycle import copying
from ocd.lifecycle.backup import backup
from tests.conftest import KEYS, at
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_feedback, add_queries


@pytest.fixture
def copy(conn, store, keeper_for):
    return lambda run: backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)


def part(report, dataset):
    return f"{report.manifest.rsplit('/', 1)[0]}/{dataset}.copy.zst"


def test_every_row_is_in_the_copy(conn, store, start_run, copy):
    add_queries(conn, 2000, created_at=NOW)
    add_feedback(conn, created_at=NOW, safe_to_send=None)

    report = copy(start_run("lifecycle.backup"))

    raw = b"".join(copying.read_back(store, part(report, "agent_queries")))
    agents = ("agent_approvals", "agent_feedback", "agent_queries")
    assert [report.rows_by_dataset[name] for name in agents] == [0, 1, 2000]
    assert raw.count(b"\n") == 2000


def test_the_manifest_tells_what_is_needed_to_restore(conn, store, start_run, copy):
    add_queries(conn, 3, created_at=NOW)

    report = copy(start_run("lifecycle.backup"))

    manifest = json.loads(b"".join(store.open(report.manifest)))["manifest"]
    queries = next(one for one in manifest["parts"] if one["dataset"] == "agent_queries")
    assert (
        manifest["schema_revision"]
        == conn.execute(text("select version_num from ocd.alembic_version")).scalar()
    )
    assert (queries["rows"], queries["columns"]["result"]) == (3, "jsonb")


def test_files_are_private_and_expire(conn, store, start_run, copy):
    report = copy(start_run("lifecycle.backup"))

    names = store.list("backups")
    expiries = dict(conn.execute(text("select name, expires_at from ocd.artifact")).all())
    assert report.manifest in names
    assert {store.path(name).stat().st_mode & 0o777 for name in names} == {0o600}
    assert expiries == dict.fromkeys(names, NOW + timedelta(days=90))


def test_a_column_that_only_the_database_has_is_copied_too(conn, db, store, start_run, copy):
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("alter table agent_feedback add column mood text default 'calm'")
    add_feedback(conn, created_at=NOW, safe_to_send=True)

    report = copy(start_run("lifecycle.backup"))

    assert b"calm" in b"".join(copying.read_back(store, part(report, "agent_feedback")))


def test_a_missing_column_is_a_schema_mismatch(db, store, start_run, copy):
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("alter table agent_feedback drop column notes")

    with pytest.raises(SchemaMismatch, match="notes"):
        copy(start_run("lifecycle.backup"))

    assert store.list("backups") == []


def test_a_lost_lease_leaves_nothing_behind(conn, db, store, start_run, copy):
    add_queries(conn, 100, created_at=NOW)
    zombie = start_run("lifecycle.backup", lease_s=0)
    start_run("lifecycle.backup")

    with pytest.raises(LeaseLost):
        copy(zombie)

    assert store.list("backups") == []
    assert conn.execute(text("select count(*) from ocd.backup_table")).scalar() == 0


def test_a_role_under_row_security_fails_instead_of_copying_nothing(
    conn, db, server, store, keeper_for, start_run
):
    add_queries(conn, 10, created_at=NOW)
    run = start_run("lifecycle.backup")
    with psycopg.connect(server, autocommit=True) as admin:
        # A member has the worker's grants; BYPASSRLS is not inherited.
        admin.execute("create role under_rls login password 'x' in role ocd_worker")
    engine = create_engine(
        sqlalchemy_url(at(db.url, user="under_rls", password="x")), poolclass=NullPool
    )

    try:
        with (
            engine.connect() as poor,
            pytest.raises(psycopg.errors.InsufficientPrivilege) as caught,
        ):
            backup(poor, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("drop role under_rls")

    assert isinstance(redacted(caught.value), ConfigError)
    assert store.list("backups") == []


def indexed(conn):
    found = set(
        conn.execute(text("select name from ocd.artifact where kind like 'backup%'")).scalars()
    )
    conn.rollback()
    return found


def test_a_drain_after_the_commit_changes_nothing(conn, store, keeper_for, start_run):
    add_queries(conn, 10, created_at=NOW)
    run = start_run("lifecycle.backup")
    run.is_draining = lambda: any(name.endswith("manifest.json") for name in store.list("backups"))

    report = backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)

    assert indexed(conn) == set(store.list("backups"))
    assert report.rows_by_dataset["agent_queries"] == 10


def test_a_backup_taken_over_after_its_commit_is_not_made_again(
    conn, db, store, keeper_for, start_run
):
    """Same run, same generation, next fence: as after a crash between commit and ending."""
    run = start_run("lifecycle.backup")
    report = backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    with db.engine.begin() as other:
        claims.finish(other, run, Ending(State.QUEUED, "drained"))

    heir = claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30)

    assert to_evidence(heir.settled) == to_evidence(report)
