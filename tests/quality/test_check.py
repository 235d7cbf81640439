"""What a check leaves behind: one artifact of keys under its fence, and no row's content."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import event, text

from ocd.core.errors import LeaseLost
from ocd.ledger import claims
from ocd.ledger.evidence import MAX_BYTES, to_evidence
from ocd.quality.check import check
from ocd.quality.files import load
from ocd.quality.rule import Kind, Severity, Tolerance
from ocd.quality.scan import SAMPLE_KEYS
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW

RULES = tuple(
    one for one in load() if one.source.name.startswith(("agent_a", "agent_f", "agent_qu"))
)
SECRET = "Ottoline Brandywine"
INDEXED = text("select name, kind, run_id from ocd.artifact")


@pytest.fixture
def faulty(conn):
    """Rows that break rules, each with a name in it."""
    for _ in range(3):
        make_query(conn, query=SECRET, result={"who": SECRET}, latency_ms=70_000)
        make_feedback(conn, input_text=SECRET, notes=SECRET, rubric={"clarity": SECRET})
        make_approval(conn, serialized={"who": SECRET}, status="approved", approved_by=None)
    conn.commit()


@pytest.mark.usefixtures("faulty")
def test_nothing_that_stands_in_a_row_leaves_the_table(conn, store, start_run, keeper_for):
    run = start_run("quality.check")

    report = check(conn, RULES, run=run, keeper=keeper_for(run), now=NOW)

    kept = b"".join(store.open(report.artifact)).decode()
    assert {one.rule for one in report.findings} >= {
        "agent_approvals.approved_by.named",
        "agent_feedback.rubric.clarity",
        "agent_queries.latency_ms.range",
    }
    assert not [word for word in SECRET.split() if word in kept + str(to_evidence(report))]


def test_the_artifact_is_indexed_as_the_run_s(conn, start_run, keeper_for):
    run = start_run("quality.check")

    report = check(conn, RULES, run=run, keeper=keeper_for(run), now=NOW)

    rows = conn.execute(INDEXED).all()
    page = report.artifact.replace(".json", ".html")
    assert {tuple(row) for row in rows} == {
        (report.artifact, "quality-result", run.id),
        (page, "quality-page", run.id),
    }
    assert report.artifact.startswith("quality/2026-11-23/run-")


def test_a_check_that_was_done_but_not_told_is_told_by_the_next_try(
    conn, db, start_run, keeper_for
):
    """Asked a second time, every answer would stand twice in the rules' past."""
    run = start_run("quality.check", lease_s=0)
    report = check(conn, RULES, run=run, keeper=keeper_for(run), now=NOW)

    heir = claims.claim(db.engine, run.id, job=run.job, worker="heir", lease_s=30)

    assert to_evidence(heir.settled) == to_evidence(report)


def test_an_attempt_that_lost_its_lease_indexes_nothing(conn, start_run, keeper_for):
    run = start_run("quality.check")
    outdated = replace(run, fence=run.fence - 1)

    with pytest.raises(LeaseLost):
        check(conn, RULES, run=outdated, keeper=keeper_for(run), now=NOW)

    assert conn.execute(INDEXED).all() == []


def test_evidence_is_small_when_every_rule_is_broken_by_many_rows(conn, db, start_run, keeper_for):
    """A later rule never hides an earlier one, so any number may fail at once."""
    with psycopg.connect(db.superuser_url) as owner:
        owner.execute("alter sequence agent_queries_id_seq restart with 9000000000000000000")
    always = [
        replace(rule, kind=Kind.CONDITION, params={"expression": "id is null"})
        for rule in RULES
        if not rule.is_of_table
    ]
    for make in (make_approval, make_feedback, make_query):
        for _ in range(SAMPLE_KEYS + 5):
            make(conn)
    conn.commit()
    run = start_run("quality.check")

    report = check(conn, always, run=run, keeper=keeper_for(run), now=NOW)

    assert {one.failed for one in report.findings} == {SAMPLE_KEYS + 5}
    assert len(report.findings) == len(always)
    assert len(str(to_evidence(report))) < MAX_BYTES


@pytest.fixture
def write_after_first_scan(db):
    """Another session writes a row as soon as the first table was read."""
    written = []

    def write(conn, cursor, statement, *rest):
        if "FROM public.agent_approvals" in statement and not written:
            with db.engine.begin() as other:
                written.append(make_query(other))

    event.listen(db.engine, "after_cursor_execute", write)
    return written


def test_all_tables_are_seen_as_of_one_instant(conn, start_run, keeper_for, write_after_first_scan):
    make_query(conn)
    conn.commit()
    run = start_run("quality.check")

    report = check(conn, RULES, run=run, keeper=keeper_for(run), now=NOW)

    assert (len(write_after_first_scan), report.rows) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"expression": "true"}},
        {"severity": Severity.BLOCK},
        {"id": "other"},
        {"filter": "true"},
        {"tolerance": Tolerance(rows=1)},
        {"columns": ("id",)},
        {"kind": Kind.NOT_NULL},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_rule_that_says_something_else_has_another_version(change):
    rule = RULES[0]

    assert replace(rule, **change).version != rule.version
    assert replace(rule, text="Said better.", owner="x", remedy="y").version == rule.version
