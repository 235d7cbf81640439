"""Every rule finds the rows that break it, all of them and no others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import JSON, event

from ocd.quality.check import EVIDENCE_KEYS
from ocd.quality.files import load
from ocd.quality.scan import SAMPLE_KEYS
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW

AGENT_TABLES = ("agent_approvals", "agent_feedback", "agent_queries")
RULES = tuple(one for one in load() if one.source.name in AGENT_TABLES)
#: What only informs about conversations that other tables know.
ELSEWHERE = {"agent_feedback.conversation_id.queried", "agent_queries.conversation_id.decided"}
ABOUT_ROWS = [one.id for one in RULES if not one.is_of_table and one.id not in ELSEWHERE]

CREATED = NOW - timedelta(hours=3)
EARLIER = {"created_at": CREATED, "updated_at": CREATED - timedelta(microseconds=1)}
SETTLED = {"status": "approved", "approved_by": "p", "resolved_at": CREATED}
BLANKS = (None, "", "   ")
NO_DOCUMENT = (None, JSON.NULL)


def each(column, values, **others):
    return [others | {column: value} for value in values]


def rubrics(key):
    return [{"rubric": {key: value}} for value in (0, 6, 2.5, "3", True, [4], -1, 15)]


DONE = {"status": "approved", "approved_by": "p"}
LONG_AGO = datetime(2014, 12, 31, 23, 59, tzinfo=UTC)


#: Made after tomorrow, and not changed before.
TOO_LATE = {"created_at": NOW + timedelta(days=1, seconds=1), "updated_at": NOW + timedelta(days=2)}
TOO_EARLY = {"created_at": LONG_AGO, "updated_at": NOW}


#: Rule → maker and the columns of rows that break this rule and no other.
BREAKS = {
    "agent_approvals.conversation_id.filled": (make_approval, each("conversation_id", BLANKS)),
    "agent_approvals.updated_at.order": (make_approval, [EARLIER] * 2),
    "agent_approvals.serialized.filled": (make_approval, each("serialized", NO_DOCUMENT)),
    "agent_approvals.status.filled": (make_approval, each("status", (None, None), **SETTLED)),
    "agent_approvals.status.known": (
        make_approval,
        each("status", ("done", "Approved", "approved "), **SETTLED),
    ),
    "agent_approvals.approved_by.named": (
        make_approval,
        [
            SETTLED | {"status": status, "approved_by": blank}
            for status in ("approved", "rejected")
            for blank in BLANKS
        ],
    ),
    "agent_approvals.resolved_at.set": (
        make_approval,
        [
            SETTLED | {"status": status, "resolved_at": None}
            for status in ("approved", "rejected", "expired")
        ],
    ),
    "agent_approvals.resolved_at.order": (
        make_approval,
        [SETTLED | {"created_at": CREATED, "resolved_at": CREATED - timedelta(seconds=1)}] * 2,
    ),
    "agent_approvals.resolved_at.plausible": (
        make_approval,
        each(
            "resolved_at", (NOW + timedelta(days=1, seconds=1), NOW + timedelta(days=900)), **DONE
        ),
    ),
    "agent_approvals.created_at.plausible": (
        make_approval,
        [TOO_LATE | {"status": "pending"}] * 2,
    ),
    "agent_feedback.created_at.plausible": (make_feedback, [TOO_LATE, TOO_EARLY]),
    "agent_queries.created_at.plausible": (make_query, [TOO_LATE, TOO_EARLY]),
    "agent_approvals.pending.age": (
        make_approval,
        each("created_at", (NOW - timedelta(days=90), NOW - timedelta(days=91)), status="pending"),
    ),
    "agent_feedback.conversation_id.filled": (make_feedback, each("conversation_id", BLANKS)),
    "agent_feedback.input_text.filled": (make_feedback, each("input_text", BLANKS)),
    "agent_feedback.model_draft.filled": (make_feedback, each("model_draft", BLANKS)),
    "agent_feedback.updated_at.order": (make_feedback, [EARLIER] * 2),
    "agent_feedback.rubric.object": (make_feedback, each("rubric", ([1], "good", 3, JSON.NULL))),
    "agent_feedback.rubric.clarity": (make_feedback, rubrics("clarity")),
    "agent_feedback.rubric.accuracy": (make_feedback, rubrics("accuracy")),
    "agent_feedback.rubric.tone": (make_feedback, rubrics("tone")),
    "agent_feedback.annotator.named": (
        make_feedback,
        [{"safe_to_send": safe, "annotator": blank} for safe in (True, False) for blank in BLANKS],
    ),
    "agent_queries.conversation_id.filled": (make_query, each("conversation_id", BLANKS)),
    "agent_queries.query.filled": (make_query, each("query", BLANKS)),
    "agent_queries.agent.filled": (make_query, each("agent", BLANKS)),
    "agent_queries.result.filled": (make_query, each("result", NO_DOCUMENT)),
    "agent_queries.updated_at.order": (make_query, [EARLIER] * 2),
    "agent_queries.latency_ms.range": (make_query, each("latency_ms", (-1, 60_001))),
    "agent_queries.approved.unedited": (make_query, [{"approved": True, "human_edited": True}] * 4),
}

#: Rows on the good side of every edge.
GOOD = [
    (make_approval, {"status": "pending", "approved_by": None, "resolved_at": None}),
    (make_approval, SETTLED),
    (make_approval, {"status": "expired", "resolved_at": CREATED, "approved_by": None}),
    (make_approval, {"created_at": NOW - timedelta(days=90) + timedelta(microseconds=1)}),
    (make_approval, SETTLED | {"created_at": NOW - timedelta(days=900)}),
    (make_feedback, {"safe_to_send": None, "annotator": None, "rubric": {}}),
    (make_feedback, {"safe_to_send": False, "annotator": "p"}),
    (make_feedback, {"rubric": {"clarity": 1, "accuracy": 5, "tone": 3, "other": "free"}}),
    (make_query, {"latency_ms": 0}),
    (make_query, {"latency_ms": 60_000}),
    (make_query, {"latency_ms": None, "approved": None}),
    (make_query, {"approved": False, "human_edited": True}),
    (make_query, {"approved": True, "human_edited": False}),
]

# The tables guard some of the rules themselves; an adopted table may not.
UNGUARD = """
    alter table agent_approvals drop constraint agent_approvals_status_check,
      alter conversation_id drop not null, alter serialized drop not null,
      alter status drop not null;
    alter table agent_feedback alter conversation_id drop not null,
      alter input_text drop not null, alter model_draft drop not null;
    alter table agent_queries drop constraint agent_queries_latency_check,
      alter conversation_id drop not null, alter query drop not null,
      alter agent drop not null, alter result drop not null;
"""


@pytest.fixture
def inspect(check_quality):
    # The tables stand without some guards and with few rows, as other rules would say.
    other = {"schema", "distribution"}
    asked = [one for one in RULES if one.id not in ELSEWHERE and one.kind not in other]
    return lambda: check_quality(asked)


@pytest.fixture
def good(conn):
    """Good rows of every table, among which the bad ones stand."""
    for make, columns in GOOD:
        make(conn, **columns)
    conn.commit()
    return len(GOOD)


@pytest.fixture
def unguarded(db):
    with psycopg.connect(db.owner_url) as owner:
        owner.execute(UNGUARD)


def of_tables(rule):
    return [one.id for one in RULES if one.is_of_table and one.id.endswith(rule)]


def test_every_rule_about_rows_has_rows_that_break_it():
    assert set(BREAKS) == set(ABOUT_ROWS)


@pytest.mark.usefixtures("good", "unguarded")
@pytest.mark.parametrize("rule", BREAKS)
def test_a_rule_finds_exactly_the_rows_that_break_it(conn, inspect, rule):
    make, rows = BREAKS[rule]
    keys = [make(conn, **columns) for columns in rows]

    report = inspect()

    (finding,) = report.findings
    beside = sum(maker is make for maker, _ in GOOD)
    assert (finding.rule, finding.failed) == (rule, len(rows))
    assert finding.share == round(len(rows) / (len(rows) + beside), 6)
    assert finding.sample_keys == tuple(keys[:EVIDENCE_KEYS])


def test_good_rows_give_no_finding(inspect, good):
    report = inspect()

    assert report.findings == ()
    assert report.rows == good


def test_empty_tables_are_told_once_each(inspect):
    report = inspect()

    assert sorted(one.rule for one in report.findings) == of_tables(".volume")
    assert {(one.failed, one.share, one.sample_keys) for one in report.findings} == {(1, 1, ())}


@pytest.mark.parametrize(
    ("age", "is_stale"),
    [(timedelta(days=2), True), (timedelta(days=2) - timedelta(microseconds=1), False)],
    ids=["two days", "just under"],
)
def test_tables_without_young_rows_are_stale(conn, inspect, age, is_stale):
    for make in (make_approval, make_feedback, make_query):
        make(conn, created_at=NOW - age)

    report = inspect()

    assert sorted(one.rule for one in report.findings) == (of_tables(".fresh") if is_stale else [])


@pytest.fixture
def read(db):
    """Statements that read an agent table."""
    statements = []

    def note(conn, cursor, statement, *rest):
        if "FROM public.agent_" in statement:
            statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    return statements


@pytest.mark.usefixtures("good")
def test_each_table_is_scanned_once_for_all_its_rules(inspect, read):
    report = inspect()

    assert report.scans == len(read) == 3


@pytest.mark.usefixtures("good")
def test_only_a_finding_takes_another_look(conn, inspect, read):
    make_query(conn, latency_ms=70_000)

    report = inspect()

    assert report.scans == len(read) == 4


@pytest.mark.usefixtures("good")
def test_findings_come_worst_first(conn, inspect):
    make_query(conn, latency_ms=70_000)
    for _ in range(2):
        make_feedback(conn, safe_to_send=True, annotator=None)
    for _ in range(3):
        make_query(conn, approved=True, human_edited=True)

    found = [(one.rule, one.failed) for one in inspect().findings]

    assert found == [
        ("agent_feedback.annotator.named", 2),
        ("agent_queries.latency_ms.range", 1),
        ("agent_queries.approved.unedited", 3),
    ]


@pytest.mark.usefixtures("good")
def test_the_artifact_has_more_keys_than_the_ledger(conn, store, inspect):
    keys = [make_query(conn, latency_ms=70_000) for _ in range(SAMPLE_KEYS + 2)]

    report = inspect()

    kept = json.loads(b"".join(store.open(report.artifact)))
    assert report.findings[0].failed == len(keys)
    assert report.findings[0].sample_keys == tuple(keys[:EVIDENCE_KEYS])
    (told,) = [one for one in kept["rules"] if one["status"] == "failed"]
    assert told["sample_keys"] == keys[:SAMPLE_KEYS]
