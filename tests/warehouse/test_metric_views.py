"""Metric views equal what anybody computes from the same rows, at their edges too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import fmean
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.factories.agents import make_approval, make_feedback, make_query
from tests.warehouse.arithmetic import percentile, ratio

drawn = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
#: How long ago something happened, hours: well inside and well outside every view's days.
HOURS = st.floats(0.01, 40 * 24).filter(lambda one: abs(one - 30 * 24) > 0.01)
JUDGEMENTS = st.sampled_from((True, False, None))


def read(conn, view, key):
    """The view's rows by a column, numbers as floats."""
    rows = conn.execute(text(f"select * from {view}")).mappings().all()
    return {row[key]: dict(row) for row in rows}


def now_of(conn):
    """The instant that every now() of this transaction is."""
    conn.rollback()
    return conn.execute(text("select now()")).scalar_one().astimezone(UTC)


def agree(found, expected):
    assert set(found) == set(expected)
    for key, row in expected.items():
        for name, value in row.items():
            got = found[key][name]
            got = float(got) if value is not None and not isinstance(value, str | datetime) else got
            assert got == (pytest.approx(value) if isinstance(value, float | int) else value), name


@drawn
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("data", "ops")),
            HOURS,
            JUDGEMENTS,
            st.booleans(),
            st.one_of(st.none(), st.integers(0, 3000)),
        ),
        max_size=25,
    )
)
def test_accuracy_is_the_share_of_the_reviewed_that_was_approved(conn, drawn_rows):
    now = now_of(conn)
    for agent, hours, approved, edited, latency in drawn_rows:
        created_at = now - timedelta(hours=hours)
        make_query(
            conn,
            agent=agent,
            created_at=created_at,
            approved=approved,
            human_edited=edited,
            latency_ms=latency,
        )

    found = read(conn, "agent_response_accuracy", "agent")

    recent = [row for row in drawn_rows if row[1] <= 30 * 24]
    expected = {}
    for agent in {row[0] for row in recent}:
        rows = [row for row in recent if row[0] == agent]
        reviewed = [row[2] for row in rows if row[2] is not None]
        expected[agent] = {
            "queries": len(rows),
            "reviewed": len(reviewed),
            "approved": sum(reviewed),
            "accuracy": ratio(sum(reviewed), len(reviewed)),
            "edit_rate": ratio(sum(row[3] for row in rows), len(rows)),
            "reason": None if reviewed else "nothing_reviewed",
        }
    agree(found, expected)


@drawn
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 30),
            JUDGEMENTS,
            st.booleans(),
            st.one_of(st.none(), st.integers(0, 9000)),
        ),
        max_size=25,
    )
)
def test_the_snapshot_is_of_the_last_day_and_its_score_stays_within_bounds(conn, drawn_rows):
    now = now_of(conn)
    for hours, approved, edited, latency in drawn_rows:
        created_at = now - timedelta(hours=hours)
        make_query(
            conn,
            agent="data",
            created_at=created_at,
            approved=approved,
            human_edited=edited,
            latency_ms=latency,
        )

    found = read(conn, "agent_performance_snapshot", "agent")

    rows = [row for row in drawn_rows if row[0] < 24]
    if not rows:
        assert found == {}
        return
    timed = [row[3] for row in rows if row[3] is not None]
    reviewed = [row[1] for row in rows if row[1] is not None]
    hour = [row[3] for row in rows if row[0] < 1 and row[3] is not None]
    score = None
    if timed and reviewed:
        speed = max(0, min(100, 100 - fmean(timed) / 10))
        edits = sum(row[2] for row in rows) / len(rows)
        score = round(50 * sum(reviewed) / len(reviewed) + 30 * (1 - edits) + 0.2 * speed, 2)
    agree(
        found,
        {
            "data": {
                "queries": len(rows),
                "latency_p50_ms": percentile(timed, 0.5),
                "latency_p95_ms": percentile(timed, 0.95),
                "latency_max_ms": max(timed, default=None),
                "slow": sum(one > 200 for one in timed),
                "latency_last_hour_ms": fmean(hour) if hour else None,
            }
        },
    )
    given_score = found["data"]["quality_score"]
    assert (given_score is None) is (score is None)
    assert score is None or float(given_score) == pytest.approx(score, abs=0.011)


@drawn
@given(
    st.lists(
        st.tuples(HOURS, JUDGEMENTS, st.sampled_from((None, 1, 5, 9, "high")), st.booleans()),
        max_size=25,
    )
)
def test_training_data_counts_judgements_marks_and_labels(conn, drawn_rows):
    now = now_of(conn)
    for hours, safe, mark, is_helpful in drawn_rows:
        make_feedback(
            conn,
            created_at=now - timedelta(hours=hours),
            safe_to_send=safe,
            rubric={} if mark is None else {"clarity": mark},
            labels=["helpful"] if is_helpful else [],
        )

    found = read(conn, "training_data_quality", "model_version")

    rows = [row for row in drawn_rows if row[0] <= 30 * 24]
    judged = [row[1] for row in rows if row[1] is not None]
    marks = [row[2] for row in rows if row[2] in (1, 5)]
    expected = {
        "test-1": {
            "drafts": len(rows),
            "judged": len(judged),
            "unsafe": judged.count(False),
            "safe_share": ratio(sum(judged), len(judged)),
            "reason": None if judged else "nothing_judged",
            "clarity": fmean(marks) if marks else None,
            "tone": None,
            "helpful": sum(row[3] for row in rows),
        }
    }
    agree(found, expected if rows else {})


@drawn
@given(
    st.lists(
        st.tuples(st.floats(0, 40 * 24), st.one_of(st.none(), st.floats(0, 30 * 24))), max_size=25
    )
)
def test_what_stood_open_at_a_days_end_is_counted_not_what_is_open_now(conn, drawn_rows):
    now = now_of(conn)
    approvals = []
    for hours, waited in drawn_rows:
        created_at = now - timedelta(hours=hours)
        resolved_at = None if waited is None else min(created_at + timedelta(hours=waited), now)
        status = "pending" if resolved_at is None else "approved"
        make_approval(conn, created_at=created_at, status=status, resolved_at=resolved_at)
        approvals.append((created_at, resolved_at))

    found = read(conn, "approval_queue_depth", "day")

    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    expected = {}
    for back in range(30):
        start = today - timedelta(days=back)
        end = start + timedelta(days=1)
        open_at_end = [
            made for made, done in approvals if made < end and (done is None or done >= end)
        ]
        expected[start.date()] = {
            "opened": sum(start <= made < end for made, _ in approvals),
            "resolved": sum(done is not None and start <= done < end for _, done in approvals),
            "pending": len(open_at_end),
        }
    agree(found, expected)


@drawn
@given(
    st.lists(
        st.tuples(st.floats(0, 40 * 24), JUDGEMENTS, st.sampled_from(("ann", "bob"))), max_size=25
    )
)
def test_annotation_progress_is_told_by_the_day_of_the_draft(conn, drawn_rows):
    now = now_of(conn)
    drafts = [(now - timedelta(hours=hours), safe, who) for hours, safe, who in drawn_rows]
    for created_at, safe, who in drafts:
        make_feedback(conn, created_at=created_at, safe_to_send=safe, annotator=who)

    found = read(conn, "annotation_progress", "day")

    expected = {}
    for back in range(30):
        day = (now - timedelta(days=back)).date()
        rows = [one for one in drafts if one[0].date() == day]
        judged = [one for one in rows if one[1] is not None]
        expected[day] = {
            "drafts": len(rows),
            "judged": len(judged),
            "unjudged": len(rows) - len(judged),
            "judged_share": ratio(len(judged), len(rows)),
            "reason": None if rows else "no_drafts",
            "annotators": len({who for _, _, who in judged}),
        }
    agree(found, expected)


SYNC = text(
    "insert into decision_sync_event_logs (decision_id, status, duration_ms, scope, created_at)"
    " values (:id, :status, :duration, :scope, now() - make_interval(hours => :hours))"
)


@drawn
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("OK", "timeout", "odd")),
            st.one_of(st.none(), st.integers(0, 5000)),
            st.integers(0, 200).filter(lambda one: one != 7 * 24),
        ),
        max_size=25,
    )
)
def test_a_sync_of_unknown_status_counts_for_neither_side(conn, drawn_rows):
    now = now_of(conn)
    for number, (status, duration, hours) in enumerate(drawn_rows):
        values = {"id": number, "status": status, "duration": duration, "scope": "ops"}
        conn.execute(SYNC, values | {"hours": hours})

    found = read(conn, "decision_sync_health", "scope")

    rows = [row for row in drawn_rows if row[2] < 7 * 24]
    words = [row[0] for row in rows]
    good, bad = words.count("OK"), words.count("timeout")
    durations = [row[1] for row in rows if row[1] is not None]
    times = [now - timedelta(hours=row[2]) for row in rows if row[0] == "OK"]
    expected = {
        "ops": {
            "attempts": len(rows),
            "succeeded": good,
            "failed": bad,
            "unknown": words.count("odd"),
            "failure_rate": ratio(bad, good + bad),
            "reason": None if good + bad else "nothing_known",
            "duration_p50_ms": percentile(durations, 0.5),
            "duration_p95_ms": percentile(durations, 0.95),
            "last_success_at": max(times, default=None),
        }
    }
    agree(found, expected if rows else {})


def test_agents_that_are_equally_good_share_a_place_and_the_unreviewed_have_none(conn):
    """a: 1 of 2, b: 2 of 4, c: 1 of 1, d: nothing reviewed. Places 1 for c, 2 for a and b."""
    now = now_of(conn)
    for agent, judgements in {
        "a": (True, False),
        "b": (True, True, False, False),
        "c": (True,),
        "d": (None,),
    }.items():
        for approved in judgements:
            make_query(conn, agent=agent, created_at=now, approved=approved)

    places = {
        key: row["place"] for key, row in read(conn, "agent_response_accuracy", "agent").items()
    }

    assert places == {"a": 2, "b": 2, "c": 1, "d": None}


@pytest.mark.parametrize(
    ("seconds", "latency", "health"),
    [
        (61, 50, "idle"),
        (59, 50, "healthy"),
        (59, 100, "healthy"),
        (59, 101, "warning"),
        (59, 200, "warning"),
        (59, 201, "degraded"),
        (61, 999, "idle"),
        (59, None, "healthy"),
    ],
)
def test_health_follows_the_last_hours_latency(conn, seconds, latency, health):
    now = now_of(conn)
    make_query(conn, created_at=now - timedelta(seconds=seconds), latency_ms=latency)

    found = read(conn, "agent_performance_snapshot", "agent")

    assert found["support"]["health"] == health


def test_a_day_is_a_day_of_the_sessions_time_zone(conn):
    """Kiritimati is 14 hours ahead: a draft of 11:00 UTC is one of its next day."""
    zone = ZoneInfo("Pacific/Kiritimati")
    now = now_of(conn)
    conn.execute(text("set local timezone = 'Pacific/Kiritimati'"))
    made_at = datetime(now.year, now.month, now.day, 11, tzinfo=UTC) - timedelta(days=2)
    make_feedback(conn, created_at=made_at)

    found = read(conn, "annotation_progress", "day")

    assert [day for day, row in found.items() if row["drafts"]] == [made_at.astimezone(zone).date()]
    assert max(found) == now.astimezone(zone).date()


#: How clocks change, and the hour they show when they do.
CHANGES = {
    "forward at two": (1, 2),
    "forward at midnight": (1, 0),
    "back at two": (-1, 2),
    "back at one, so that midnight comes twice": (-1, 1),
    "back at the day's end": (-1, 24),
}


def clocks(now, hours, at, days_ago):
    """A time zone whose clocks changed so many days ago, as PostgreSQL reads it, and its local time."""
    day = datetime(now.year, now.month, now.day, tzinfo=UTC) - timedelta(days=days_ago)
    if (day.month, day.day) == (2, 29):  # a rule cannot name it
        day -= timedelta(days=1)
    number = day.replace(year=2025).timetuple().tm_yday
    change, other = (f"J{(number + n - 1) % 365 + 1}" for n in (0, 180))
    if hours > 0:
        changed_at, zone = day + timedelta(hours=at), f"STD0DST,{change}/{at},{other}/3"
    else:
        changed_at, zone = day + timedelta(hours=at - 1), f"STD0DST,{other}/3,{change}/{at}"

    def local(instant):
        return instant + timedelta(hours=(instant >= changed_at) == (hours > 0))

    return zone, changed_at, local


@pytest.mark.parametrize("days_ago", [10, 29], ids=["among the days", "on the first of them"])
@pytest.mark.parametrize(("hours", "at"), CHANGES.values(), ids=CHANGES)
def test_days_have_all_their_hours_where_clocks_change(conn, hours, at, days_ago):
    now = now_of(conn)
    zone, changed_at, local = clocks(now, hours, at, days_ago)
    instants = [changed_at + timedelta(minutes=20 * n) for n in range(-90, 90)]
    waited = timedelta(hours=7)
    for created_at in instants:
        make_feedback(conn, created_at=created_at)
        make_approval(
            conn, created_at=created_at, status="approved", resolved_at=created_at + waited
        )
    conn.execute(text("select set_config('timezone', :zone, true)"), {"zone": zone})

    progress = read(conn, "annotation_progress", "day")
    depth = read(conn, "approval_queue_depth", "day")

    made = [local(one).date() for one in instants]
    done = [local(one + waited).date() for one in instants]
    days = [local(now).date() - timedelta(days=back) for back in range(30)]
    agree(progress, {day: {"drafts": made.count(day)} for day in days})
    agree(
        depth,
        {
            day: {
                "opened": made.count(day),
                "resolved": done.count(day),
                "pending": sum(one <= day < end for one, end in zip(made, done, strict=True)),
            }
            for day in days
        },
    )
