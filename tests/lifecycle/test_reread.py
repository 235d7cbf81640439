"""Rot is found by reading again, the longest unread first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import ContractBroken
from ocd.lifecycle.backup import backup
from ocd.lifecycle.reread import reread
from ocd.lifecycle.verify import verify
from tests.conftest import KEYS
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_queries


@pytest.fixture
def kept(conn, store, keeper_for, start_run, end, scratch):
    """A backup that was verified; returns its folder."""
    add_queries(conn, 200, created_at=NOW)
    run = start_run("lifecycle.backup")
    made = backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    proof = start_run("lifecycle.verify")
    verify(conn, run=proof, store=store, keeper=keeper_for(proof), keys=KEYS, scratch=scratch)
    end(proof)
    return store.path(made.manifest).parent


@pytest.fixture
def read(conn, store, start_run):
    def deed(window="2026-11-23", budget_bytes=10**9):
        later = conn.execute(text("select clock_timestamp()")).scalar_one() + timedelta(days=2)
        conn.rollback()
        run = start_run("lifecycle.reread", window)
        return reread(conn, run=run, store=store, keys=KEYS, budget_bytes=budget_bytes, now=later)

    return deed


def is_proved(conn):
    found = conn.execute(
        text("""
            select distinct on (dataset) dataset, is_equal from ocd.verification order by dataset, id desc
        """)
    ).all()
    conn.rollback()
    return {row.dataset for row in found if row.is_equal}


def test_whole_files_are_noted_as_read(conn, store, kept, read):
    report = read()

    unread = conn.execute(
        text("select count(*) from ocd.artifact where reread_at is null and kind like 'backup%'")
    ).scalar_one()
    assert (report.files, unread) == (len(store.list("backups")) - 1, 0), "all but the report"


def test_a_week_reads_what_the_week_before_did_not(conn, kept, read):
    first = read("2026-11-08", budget_bytes=1)
    second = read("2026-11-15", budget_bytes=1)

    assert first.files == second.files == 1
    names = conn.execute(
        text("select count(*) from ocd.artifact where reread_at is not null")
    ).scalar_one()
    assert names == 2


@pytest.mark.parametrize(
    ("file", "lost"),
    [("agent_queries.copy.zst", {"agent_queries"}), ("manifest.json", None)],
    ids=["a part", "the manifest"],
)
def test_rot_is_told_and_takes_the_proof_away(conn, kept, read, file, lost):
    before = is_proved(conn)
    path = kept / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)

    with pytest.raises(ContractBroken, match=f"1 stored files are damaged.*{file}"):
        read()

    assert before - is_proved(conn) == (before if lost is None else lost)


def test_a_file_that_is_gone_is_rot(kept, read):
    (kept / "agent_feedback.copy.zst").unlink()

    with pytest.raises(ContractBroken, match=r"agent_feedback.*missing"):
        read()
