"""A purge that runs twice, resumes, or meets tables that changed: archives stay true."""

from __future__ import annotations

import json
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.registry import DATASETS
from ocd.lifecycle import archive, copying
from ocd.lifecycle.backup import backup
from ocd.lifecycle.verify import verify
from ocd.local import seed
from tests.conftest import KEYS
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_feedback, add_queries, ids

OLD = NOW.replace(hour=0) - timedelta(days=31)


def archived(conn, store, dataset):
    """Ids in all committed chunks of a dataset, as often as they are there."""
    names = (
        conn.execute(
            text("select archive from ocd.purge_chunk where dataset = :dataset"),
            {"dataset": dataset.name},
        )
        .scalars()
        .all()
    )
    conn.rollback()
    raw = b"".join(block for name in names for block in copying.read_back(store, name))
    return sorted(int(line.split(b"\t", 1)[0]) for line in raw.splitlines())


def test_the_second_purge_of_a_window_deletes_nothing(conn, store, prove, delete):
    add_queries(conn, 700, created_at=OLD)
    prove()
    first = delete()
    before = {name: store.path(name).read_bytes() for name in store.list("archives")}

    second = delete()

    assert (first.rows, second.rows, second.archive) == (700, 0, None)
    assert {name: store.path(name).read_bytes() for name in store.list("archives")} == before


class Crash(BaseException):
    """The process ends here."""


def test_a_second_claim_of_the_same_run_finishes_what_the_first_began(
    conn, store, prove, start_run, delete, monkeypatch
):
    add_queries(conn, 1700, created_at=OLD)
    before = sorted(ids(conn, "agent_queries"))
    prove()
    zombie = start_run("lifecycle.purge", subject={"dataset": "agent_queries"}, lease_s=0)
    compared, compare = [], archive._compare_with_storage

    def crash_once(*given):
        compared.append(1)
        if len(compared) == 2:
            raise Crash
        compare(*given)

    monkeypatch.setattr(archive, "_compare_with_storage", crash_once)
    with pytest.raises(Crash):
        delete(run=zombie)

    heir = start_run("lifecycle.purge", subject={"dataset": "agent_queries"})
    report = delete(run=heir)

    kept = set(conn.execute(text("select archive from ocd.purge_chunk")).scalars())
    assert heir.id == zombie.id
    assert report.rows == 1700
    assert archived(conn, store, AGENT_QUERIES) == before
    assert ids(conn, "agent_queries") == set()
    assert set(store.list("archives")) == kept | {report.archive}


def test_every_table_of_the_sample_shop_is_purged_into_archives(
    conn, db, store, keeper_for, start_run, end, scratch, delete
):
    """The whole night: copied, restored, compared, deleted; each row is there or archived."""
    with db.engine.begin() as sowing:
        sown = seed.seed(sowing, rows=3000, faults=True, now=NOW, progress=None)
    expiring = [one for one in DATASETS if one.retention and one.name in sown.rows_by_dataset]
    before = {one.name: sorted(ids(conn, one.table)) for one in expiring}
    run = start_run("lifecycle.backup")
    backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    run = start_run("lifecycle.verify")
    verify(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS, scratch=scratch)

    for dataset in expiring:
        report = delete(dataset)

        gone = archived(conn, store, dataset)
        assert report.rows == len(gone) < len(before[dataset.name])
        assert report.rows or dataset not in (AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES)
        assert sorted([*gone, *ids(conn, dataset.table)]) == before[dataset.name]


def test_the_archives_manifest_names_the_columns_that_are_in_it(conn, db, store, prove, delete):
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("alter table agent_feedback add column mood text default 'calm'")
    add_feedback(conn, created_at=OLD, safe_to_send=None)
    prove()

    report = delete(AGENT_FEEDBACK)

    manifest = json.loads(store.path(report.archive).read_text())
    raw = b"".join(copying.read_back(store, manifest["chunks"][0]["archive"]))
    fields = raw.decode().rstrip("\n").split("\t")
    assert dict(zip(manifest["columns"], fields, strict=True))["mood"] == "calm"
