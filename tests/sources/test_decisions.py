"""Files of decisions and telemetry: every known shape is read, anything else is refused by its place."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from ocd.core.errors import ContractBroken
from ocd.sources.decisions.load import load
from ocd.sources.decisions.read import Shape, records

SYNC = {
    "decisionId": 7,
    "status": "TIMEOUT",
    "durationMs": 1500.55,
    "errorCode": "ETIMEDOUT",
    "attempt": 3,
    "timestamp": "2026-10-09T14:15:12.483Z",
}
DECISION = {
    "id": "ops-refund-20261011",
    "scope": "ops",
    "who": "mara.quill",
    "what": "Refund approved",
    "why": "Within the rules.",
    "createdAt": "2026-10-11T01:06:00.000Z",
    "sha": "af1d9f1",
    "evidenceUrl": "notes/refund.md",
}
HEARTBEAT = {
    "timestamp": "2026-10-25T19:40:00Z",
    "task": "GUARD-1",
    "status": "doing",
    "progress": "Guard updates",
}
ALL = [SYNC, DECISION, HEARTBEAT]


def lines(*found):
    return "\n".join(json.dumps(one) for one in found) + "\n"


@pytest.mark.parametrize(
    "written",
    [lines(*ALL), json.dumps(ALL), "".join(json.dumps(one) for one in ALL), f"\n\n{lines(*ALL)}\n"],
    ids=["lines", "array", "glued together", "blank lines"],
)
def test_objects_are_found_however_they_stand(written):
    assert [one.shape for one in records(written, "f")] == [
        Shape.SYNC,
        Shape.DECISION,
        Shape.HEARTBEAT,
    ]


@pytest.mark.parametrize("written", ["", "[]", "\n\n"])
def test_an_empty_file_holds_nothing(written):
    assert list(records(written, "f")) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": 1}, "neither"),
        (SYNC | {"decisionId": "x"}, "decisionId"),
        (SYNC | {"decisionId": True}, "decisionId"),
        (SYNC | {"status": " "}, "status"),
        (SYNC | {"durationMs": -1}, "durationMs"),
        (SYNC | {"durationMs": "fast"}, "durationMs"),
        (SYNC | {"timestamp": "yesterday"}, "timestamp is no instant"),
        (SYNC | {"timestamp": "2026-10-09T14:15:12"}, "no time zone"),
        (DECISION | {"scope": "secret-scope"}, "scope"),
        (DECISION | {"who": None}, "who"),
        (DECISION | {"id": 4}, "id"),
        (HEARTBEAT | {"task": ""}, "task"),
    ],
)
def test_another_shape_is_refused_by_line_and_key_without_its_value(found, said):
    with pytest.raises(ContractBroken, match=f"f.ndjson, line 2: .*{said}") as refused:
        list(records(lines(DECISION) + json.dumps(found), "f.ndjson"))

    assert "secret-scope" not in refused.value.message
    assert "yesterday" not in refused.value.message


@pytest.mark.parametrize("written", ["{", "nonsense", '{"a": 1} trailing'])
def test_what_is_no_json_is_refused(written):
    with pytest.raises(ContractBroken, match="line 1"):
        list(records(written, "f"))


def test_what_is_not_a_column_is_kept_with_the_record():
    (found,) = records(lines(DECISION | {"templateAnalysis": {"n": 3}}), "f")

    assert found.row["payload"] == {"sha": "af1d9f1", "templateAnalysis": {"n": 3}}


def count(conn, table):
    return conn.execute(text(f"select count(*) from {table}")).scalar()


def test_each_record_gets_its_row_with_a_normalised_status(conn):
    report = load(conn, records(lines(*ALL), "f"))

    sync = conn.execute(text("select * from decision_sync_event_logs")).one()
    assert (sync.status, sync.raw_status, sync.attempt) == ("failure", "TIMEOUT", 3)
    decision = conn.execute(text("select * from decision_log")).one()
    assert (decision.actor, decision.rationale) == ("mara.quill", "Within the rules.")
    heard = conn.execute(text("select * from observability_logs")).one()
    assert (heard.level, heard.message, heard.metadata["status"]) == (
        "INFO",
        "Guard updates",
        "doing",
    )
    assert report.rows == 3


def test_loading_again_adds_nothing(conn):
    load(conn, records(lines(*ALL), "f"))

    report = load(conn, records(lines(*ALL, *ALL), "f"))

    assert report.rows == 0
    assert report.read == {"decision sync": 2, "decision": 2, "heartbeat": 2}
    assert [
        count(conn, t) for t in ("decision_sync_event_logs", "decision_log", "observability_logs")
    ] == [1, 1, 1]


def test_the_view_shows_what_was_loaded_newest_first(conn):
    load(conn, records(lines(SYNC, SYNC | {"timestamp": "2026-10-10T00:00:00Z"}), "f"))

    seen = conn.execute(
        text('select "decisionId", attempt, "timestamp" from decision_sync_events')
    ).all()

    assert [(row[0], row[1]) for row in seen] == [(7, 3), (7, 3)]
    assert seen[0][2] > seen[1][2]


def test_the_command_loads_all_files_or_none(shell, tmp_path):
    good, bad = tmp_path / "good.ndjson", tmp_path / "bad.ndjson"
    good.write_text(lines(*ALL))
    bad.write_text(lines({"a": 1}))

    refused = shell("load", str(good), str(bad), code=2).stderr
    told = shell("load", str(good)).stdout

    assert "bad.ndjson, line 1" in refused
    assert told == "1 of 1 decision syncs new, 1 of 1 decisions new, 1 of 1 heartbeats new\n"
