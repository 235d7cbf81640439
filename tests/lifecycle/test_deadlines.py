"""The clock of an erasure, what has to be shown, and that people are told in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError, PolicyRefused
from ocd.datasets.subjects import Kind, Subject
from ocd.lifecycle import erasures
from ocd.lifecycle.deadlines import Clock, require_proof, subjects_of, warnings
from ocd.lifecycle.restore import BACKUP
from tests.factories.clock import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TALK, CUSTOMER = Subject(Kind.CONVERSATION, "c1"), Subject(Kind.CUSTOMER, "7")


@pytest.mark.parametrize(
    ("after", "is_acknowledged", "expected"),
    [
        (0 * HOUR, False, []),
        (11 * HOUR, False, []),
        (12 * HOUR, False, [("acknowledge", False)]),
        (48 * HOUR, False, [("acknowledge", True)]),
        (48 * HOUR, True, []),
        (22 * DAY, True, []),
        (23 * DAY, True, [("erase", False)]),
        (30 * DAY, True, [("erase", True)]),
        (40 * DAY, False, [("acknowledge", True), ("erase", True)]),
    ],
)
def test_people_are_told_before_a_deadline_passes(after, is_acknowledged, expected):
    found = warnings(
        Clock.of(NOW), is_acknowledged=is_acknowledged, is_finished=False, now=NOW + after
    )

    assert [(one.what, one.is_over) for one in found] == expected


def test_a_look_once_a_day_always_warns_before_both_deadlines():
    for offset in range(24):
        looks = [NOW + timedelta(hours=offset) + day * DAY for day in range(31)]
        for what in ("acknowledge", "erase"):
            told = [
                one
                for look in looks
                for one in warnings(
                    Clock.of(NOW), is_acknowledged=False, is_finished=False, now=look
                )
                if one.what == what
            ]
            assert not told[0].is_over, (offset, what)


def test_what_is_done_warns_of_nothing():
    late = NOW + 400 * DAY

    assert list(warnings(Clock.of(NOW), is_acknowledged=False, is_finished=True, now=late)) == []


@pytest.mark.parametrize(
    ("proof", "subjects", "suffices"),
    [
        ("email-and-order", [TALK, CUSTOMER], True),
        ("email-no-order", [TALK], True),
        ("email-no-order", [TALK, CUSTOMER], False),
        ("email", [TALK], False),
        ("", [TALK], False),
    ],
)
def test_an_address_alone_deletes_nobody(proof, subjects, suffices):
    if suffices:
        require_proof(proof, subjects)
        return
    with pytest.raises(PolicyRefused, match="number"):
        require_proof(proof, subjects)


def test_subjects_are_read_a_line_each():
    found = subjects_of(
        ["conversation: c1 ", "", "customer:gid://shopify/Customer/7\n", "conversation:c1"]
    )

    assert found == (TALK, CUSTOMER)


@pytest.mark.parametrize("line", ["c1", "conversation:", "mail:a@b.example", "agent_run:1", ":"])
def test_a_line_that_is_no_subject_is_told_by_number_without_its_words(line):
    with pytest.raises(ConfigError, match="line 2") as failed:
        subjects_of(["conversation:c1", line])

    assert "a@b.example" not in failed.value.message


def test_nothing_named_is_told():
    with pytest.raises(ConfigError, match="nothing to erase"):
        subjects_of(["", "  "])


@pytest.fixture
def look(conn, start_run):
    def deed(now):
        run = start_run("lifecycle.watch_erasures", f"{now:%Y-%m-%d}")
        return erasures.watch(conn, run=run, now=now)

    return deed


def open_incidents(conn):
    found = conn.execute(
        text("select cause from ocd.incident where closed_at is null order by cause")
    ).scalars()
    found = list(found)
    conn.rollback()
    return found


def test_a_deadline_that_comes_near_opens_one_incident_and_the_deed_closes_it(
    conn, look, ask, forget
):
    number = ask("conversation:c1")

    look(NOW + 23 * DAY)
    assert look(NOW + 24 * DAY).warned == 2
    assert open_incidents(conn) == [f"erasure:{number}:acknowledge", f"erasure:{number}:erase"]

    erasures.acknowledge(conn, number, acknowledged_by="mara")
    conn.commit()
    assert open_incidents(conn) == [f"erasure:{number}:erase"]
    forget(number)
    assert open_incidents(conn) == []
    assert look(NOW + 25 * DAY).open == 0


def test_who_takes_it_back_is_waited_for_no_more(conn, look, ask):
    number = ask("conversation:c1")
    look(NOW + 29 * DAY)

    erasures.withdraw(conn, number)
    conn.commit()

    assert open_incidents(conn) == []
    assert look(NOW + 31 * DAY).open == 0


def test_the_look_forgets_conditions_that_nobody_came_back_for(conn, look, wish):
    wish(BACKUP, "x", dataset="agent_queries", condition="conversation_id = 'c1'")
    later = conn.execute(text("select clock_timestamp() + interval '8 days'")).scalar_one()

    assert look(later).forgotten == 1


def test_acknowledging_twice_or_nothing_is_told(conn, ask):
    number = ask("conversation:c1")
    erasures.acknowledge(conn, number, acknowledged_by="mara")

    for one in (number, 99):
        with pytest.raises(ConfigError, match="acknowledged, withdrawn or unknown"):
            erasures.acknowledge(conn, one, acknowledged_by="mara")
