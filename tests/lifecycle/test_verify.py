"""A backup counts only if a fresh server gives the same rows back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict

import psycopg
import pytest
import zstandard
from sqlalchemy import text

from ocd.core.cluster import scratch_database, scratch_postgres
from ocd.core.errors import ContractBroken, PolicyRefused
from ocd.core.store import BLOCK
from ocd.datasets.registry import DATASETS
from ocd.ledger import claims
from ocd.ledger.evidence import to_evidence
from ocd.lifecycle import copying, loading, manifest
from ocd.lifecycle.backup import backup
from ocd.lifecycle.verify import EQUAL, verify
from tests.conftest import KEYS, at
from tests.factories.clock import NOW
from tests.lifecycle.rows import add_approval, add_feedback, add_queries

BACKED_UP = [one for one in DATASETS if one.is_backed_up]
QUERIES = "agent_queries.copy.zst"


@pytest.fixture
def check(conn, store, keeper_for, scratch):
    def deed(run, scratch=scratch):
        return verify(
            conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS, scratch=scratch
        )

    return deed


@pytest.fixture
def kept(conn, store, keeper_for, start_run, end):
    """Back up a few rows of every table; returns the folder of the backup."""
    add_queries(conn, 1500, created_at=NOW)
    add_feedback(conn, created_at=NOW, safe_to_send=None)
    add_approval(conn, created_at=NOW, status="pending", resolved_at=None)
    run = start_run("lifecycle.backup")
    report = backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)
    return store.path(report.manifest).parent


def recorded(conn):
    """Whether each table that holds rows was found equal; empty ones restore whatever happens."""
    found = dict(conn.execute(text("select dataset, is_equal from ocd.verification")).all())
    return {name: found[name] for name in ("agent_approvals", "agent_feedback", "agent_queries")}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def lose(path):
    path.unlink()


def drop_a_row(path):
    rows = (
        zstandard.ZstdDecompressor()
        .decompressobj()
        .decompress(path.read_bytes())
        .splitlines(keepends=True)
    )
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(rows[:-1])))


def sign_anew(folder, body):
    """Write a manifest as somebody would who has the key."""
    content = json.dumps(body, separators=(",", ":")).encode()
    signed = {"manifest": body, "signature": asdict(KEYS.sign(content))}
    (folder / "manifest.json").write_bytes(json.dumps(signed, separators=(",", ":")).encode())


def test_a_restored_copy_equals_the_original(conn, kept, start_run, check):
    report = check(start_run("lifecycle.verify"), scratch_postgres)

    assert sum(one.rows for one in report.compared if one.dataset.startswith("agent_")) == 1502
    assert all(one.is_equal for one in report.compared)
    assert recorded(conn) == {
        "agent_approvals": True,
        "agent_feedback": True,
        "agent_queries": True,
    }


def test_a_proof_that_was_done_but_not_told_is_told_by_the_next_try(
    conn, db, kept, start_run, check
):
    run = start_run("lifecycle.verify", lease_s=0)
    report = check(run, scratch_postgres)

    heir = claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30)

    assert to_evidence(heir.settled) == to_evidence(report)


def test_rows_that_change_after_the_snapshot_do_not_matter(conn, kept, start_run, check):
    add_queries(conn, 10, created_at=NOW)

    assert all(one.is_equal for one in check(start_run("lifecycle.verify")).compared)


def test_a_column_that_only_the_database_had_comes_back(
    conn, db, store, keeper_for, start_run, end, check
):
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("alter table agent_feedback add column mood numeric(4, 2) default 1.50")
    add_feedback(conn, created_at=NOW, safe_to_send=True)
    run = start_run("lifecycle.backup")
    backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)

    assert all(one.is_equal for one in check(start_run("lifecycle.verify")).compared)


@pytest.mark.parametrize("damage", [flip, cut, lose, drop_a_row])
def test_damage_is_recorded_and_then_told(conn, kept, start_run, check, damage):
    damage(kept / QUERIES)

    with pytest.raises(ContractBroken, match="agent_queries"):
        check(start_run("lifecycle.verify"))

    assert recorded(conn) == {
        "agent_approvals": True,
        "agent_feedback": True,
        "agent_queries": False,
    }


def test_swapped_parts_are_found(conn, kept, start_run, check):
    one, other = kept / "agent_feedback.copy.zst", kept / "agent_approvals.copy.zst"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)

    with pytest.raises(ContractBroken):
        check(start_run("lifecycle.verify"))

    assert recorded(conn) == {
        "agent_approvals": False,
        "agent_feedback": False,
        "agent_queries": True,
    }


def test_a_changed_row_count_is_found(conn, kept, start_run, check):
    """Even where part and manifest agree on the bytes, the count of the source decides."""
    body = json.loads((kept / "manifest.json").read_text())["manifest"]
    drop_a_row(kept / QUERIES)
    entry = next(one for one in body["parts"] if one["dataset"] == "agent_queries")
    raw = zstandard.ZstdDecompressor().decompressobj().decompress((kept / QUERIES).read_bytes())
    entry["raw_sha256"] = copying.hashlib.sha256(raw).hexdigest()
    sign_anew(kept, body)

    with pytest.raises(ContractBroken):
        check(start_run("lifecycle.verify"))

    assert recorded(conn)["agent_queries"] is not True


def test_without_any_backup_it_refuses(start_run, check):
    with pytest.raises(PolicyRefused, match="no backup"):
        check(start_run("lifecycle.verify"))


def test_the_report_is_kept_beside_the_backup(conn, kept, store, start_run, check):
    check(start_run("lifecycle.verify"))

    name = conn.execute(
        text("select name from ocd.artifact where kind = 'verification'")
    ).scalar_one()
    assert store.path(name).parent == kept
    assert len(json.loads(store.path(name).read_text())["compared"]) == len(BACKED_UP)


def test_an_older_consistent_manifest_and_part_are_found(conn, kept, start_run, check):
    """Part and manifest agree with each other, but not with what the ledger noted."""
    fewer = b""
    (kept / QUERIES).write_bytes(zstandard.ZstdCompressor().compress(fewer))
    body = json.loads((kept / "manifest.json").read_text())["manifest"]
    entry = next(one for one in body["parts"] if one["dataset"] == "agent_queries")
    entry |= {
        "rows": 0,
        "raw_bytes": 0,
        "raw_sha256": copying.hashlib.sha256(fewer).hexdigest(),
        "content_hash": "0:0",
    }
    sign_anew(kept, body)

    with pytest.raises(ContractBroken):
        check(start_run("lifecycle.verify"))

    assert recorded(conn)["agent_queries"] is False


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_text("{")],
    ids=["missing", "broken"],
)
def test_a_damaged_manifest_is_recorded_as_unequal(conn, kept, start_run, check, damage):
    damage(kept / "manifest.json")

    with pytest.raises(ContractBroken):
        check(start_run("lifecycle.verify"))

    assert set(recorded(conn).values()) == {False}


def test_bytes_behind_the_frame_are_found(conn, kept, start_run, check):
    with (kept / QUERIES).open("ab") as file:
        file.write(b"more")

    with pytest.raises(ContractBroken):
        check(start_run("lifecycle.verify"))

    assert recorded(conn)["agent_queries"] is False


def test_reading_back_is_bounded_however_well_rows_compress(store):
    writer = store.create("bomb")
    writer.write(zstandard.ZstdCompressor().compress(bytes(64_000_000)))
    writer.commit()

    assert max(len(block) for block in copying.read_back(store, "bomb")) <= 4 * BLOCK


def changed(kept, change):
    """Rewrite the manifest as somebody would who has the key, and the ledger's note of it."""
    body = json.loads((kept / "manifest.json").read_text())["manifest"]
    change(next(one for one in body["parts"] if one["dataset"] == "agent_queries"))
    sign_anew(kept, body)


def forget_a_policy(part):
    part["structure"] = [one for one in part["structure"] if one["kind"] != "policy"]


def loosen_a_check(part):
    for one in part["structure"]:
        one["definition"] = one["definition"].replace("CHECK", "CHECK (true) --")


def switch_row_security_off(part):
    for one in part["structure"]:
        if one["kind"] == "row security":
            one["definition"] = ""


def add_a_column(part):
    part["columns"] = {"ghost": "text"} | part["columns"]


def add_an_index_that_cannot_be_made(part):
    definition = "CREATE INDEX ghost ON public.agent_queries USING btree (ghost)"
    part["structure"].append({"kind": "index", "name": "ghost", "definition": definition})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (forget_a_policy, "policy .* is not as it was"),
        (loosen_a_check, "constraint .* is not as it was"),
        (switch_row_security_off, "row security .* is not as it was"),
        (lambda part: part.update(content_hash="1:2"), "content hash differs"),
        (lambda part: part.update(rows=3), "the manifest says 3"),
        (add_a_column, "does not restore"),
        (add_an_index_that_cannot_be_made, "does not restore"),
    ],
    ids=["policy", "constraint", "row security", "content", "rows", "columns", "index"],
)
def test_what_comes_back_must_be_all_that_was_there(
    conn, kept, start_run, check, store, change, words
):
    changed(kept, change)
    content = (kept / "manifest.json").read_bytes()
    conn.execute(
        text("update ocd.artifact set sha256 = :sha256 where kind = 'backup-manifest'"),
        {"sha256": copying.hashlib.sha256(content).hexdigest()},
    )
    conn.commit()

    with pytest.raises(ContractBroken, match=words):
        check(start_run("lifecycle.verify"))


def test_what_only_the_source_had_is_made_again(conn, db, store, keeper_for, start_run, end, check):
    """An index, a check and a policy that no migration made."""
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("create index extra_idx on agent_feedback (conversation_id, created_at desc)")
        owner.execute("alter table agent_feedback add constraint extra_check check (id > 0)")
        owner.execute(
            "create policy extra on agent_feedback for select to ocd_reader using (annotator is null)"
        )
    add_feedback(conn, created_at=NOW, safe_to_send=True)
    run = start_run("lifecycle.backup")
    backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)

    report = check(start_run("lifecycle.verify"))

    assert report.level == EQUAL


def test_a_sequence_comes_back_where_it_stood(conn, db, store, keeper_for, start_run, end, check):
    """Numbers that were given and deleted must not be given again."""
    add_queries(conn, 5, created_at=NOW)
    with psycopg.connect(db.owner_url) as owner:
        owner.execute("delete from agent_queries")
    run = start_run("lifecycle.backup")
    backup(conn, run=run, store=store, keeper=keeper_for(run), keys=KEYS)
    end(run)

    @contextmanager
    def watched():
        with scratch_postgres() as url:
            yield url
            with psycopg.connect(url) as restored:
                seen.append(
                    restored.execute(
                        "insert into agent_queries (query, result, conversation_id, agent) values ('q', '1', 'c', 'a') returning id"
                    ).fetchone()
                )

    seen: list = []
    report = check(start_run("lifecycle.verify"), watched)

    assert (report.level, seen) == (EQUAL, [(6,)])


def test_how_long_a_restore_takes_is_kept(conn, kept, start_run, check):
    report = check(start_run("lifecycle.verify"))

    took = conn.execute(text("select min(level), sum(restore_ms) from ocd.verification")).one()
    assert report.restore_s > 0
    assert took == (EQUAL, sum(round(one.restore_s * 1000) for one in report.compared))


def test_a_scratch_database_does_where_no_binaries_are(conn, db, server, kept, start_run, check):
    made = []

    @contextmanager
    def scratch_of_a_server():
        with scratch_database(at(server, user="ocd_owner", password="owner")) as url:
            made.append(url)
            yield url

    report = check(start_run("lifecycle.verify"), scratch_of_a_server)

    assert report.level == EQUAL
    with psycopg.connect(server) as admin:
        names = admin.execute("select datname from pg_database where datname like 'ocd_scratch%'")
        assert names.fetchall() == []


def test_nothing_is_rebuilt_over_rows(conn, db, kept, store):
    """Whatever address somebody passes: a table with rows is never emptied."""
    found = manifest.read(store, f"{kept.relative_to(store.root)}/manifest.json", KEYS)

    with pytest.raises(PolicyRefused, match="is not empty there"):
        loading.rebuild(db.owner_url, found, store)

    assert conn.execute(text("select count(*) from agent_queries")).scalar() == 1500
