"""The quota ledger: no request leaves that could use up what is left, whoever else sends one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import QuotaExhausted, SourceUnavailable, TooEarly
from ocd.sources.ga4.backends import opened
from ocd.sources.ga4.client import Request
from ocd.sources.ga4.metered import MeteredClient, metered
from ocd.sources.ga4.policy import (
    CONCURRENT,
    DAY,
    FIRST_TOKENS,
    HOUR,
    MAX_CONCURRENT,
    QUOTAS,
    Level,
    Wait,
    may_send,
    spent,
)
from ocd.sources.ga4.refresh import Source, refresh
from ocd.sources.ga4.reports import CHANNELS, REPORTS, GaReport
from tests.fakes.ga4 import LIMITS
from tests.sources import ga4 as shared
from tests.sources.ga4 import NOW, PROPERTY, settings_for

SPARE = {quota.name: quota.spare for quota in QUOTAS}
HOURLY = "tokensPerProjectPerHour"
REQUEST = Request(CHANNELS, shared.DAY, 0, 10)
DEVICES = GaReport("devices", ("deviceCategory",), ("sessions",))


@pytest.fixture
def client(ga4, db, tmp_path):
    """A metered client of the fake."""
    with opened(settings_for(ga4, "rest", tmp_path)) as found:
        yield MeteredClient(found, db.engine, run_id=1)


def ask(client):
    return client.run_report(PROPERTY, REQUEST)


def let_pass(db, ga4, hours):
    """Let time pass for Google and for the ledger."""
    ga4.move_clock(hours)
    with db.engine.begin() as conn:
        back = {"by": timedelta(hours=hours)}
        conn.execute(
            text(
                "update landing.ga_quota set as_of = as_of - :by, blocked_until = blocked_until - :by"
            ),
            back,
        )


def levels(db):
    with db.engine.connect() as conn:
        rows = conn.execute(text("select quota, remaining from landing.ga_quota")).all()
    return {row.quota: row.remaining for row in rows}


@pytest.mark.parametrize(
    ("levels", "tokens", "under_way", "expected"),
    [
        ({}, 10, [], None),
        ({HOURLY: Level(1410, NOW)}, 10, [], None),
        ({HOURLY: Level(1409, NOW)}, 10, [], Wait(HOURLY, 3600)),
        ({HOURLY: Level(1419, NOW)}, 10, [10], Wait(HOURLY, 3600)),
        ({HOURLY: Level(0, NOW - HOUR)}, 10, [], None),
        ({HOURLY: Level(-1, NOW - HOUR / 2)}, 10, [], Wait(HOURLY, 1800)),
        ({"tokensPerDay": Level(20_009, NOW - HOUR)}, 10, [], Wait("tokensPerDay", 23 * 3600)),
        ({"tokensPerHour": Level(4_009, NOW)}, 10, [], Wait("tokensPerHour", 3600)),
        (
            {"potentiallyThresholdedRequestsPerHour": Level(13, NOW)},
            10,
            [1],
            Wait("potentiallyThresholdedRequestsPerHour", 3600),
        ),
        ({"serverErrorsPerProjectPerHour": Level(6, NOW)}, 10, [1, 1], None),
        (
            {"serverErrorsPerProjectPerHour": Level(5, NOW)},
            10,
            [],
            Wait("serverErrorsPerProjectPerHour", 3600),
        ),
        ({}, 10, [1] * MAX_CONCURRENT, Wait(CONCURRENT, 30)),
        ({"tokensPerDay": Level(9**9, NOW, NOW + DAY)}, 10, [], Wait("tokensPerDay", 86400)),
        ({CONCURRENT: Level(10, NOW, NOW)}, 10, [], None),
    ],
)
def test_what_may_be_sent(levels, tokens, under_way, expected):
    assert may_send(NOW, levels, tokens, under_way) == expected


def test_what_is_not_said_is_taken_off_what_was_known():
    known = {HOURLY: Level(100, NOW, NOW + HOUR), "tokensPerDay": Level(7, NOW - 2 * DAY)}

    after = spent(NOW, known, "tokens", 20)

    assert after[HOURLY] == Level(80, NOW, NOW + HOUR)
    assert after["tokensPerDay"] == Level(200_000 - 20, NOW)
    assert spent(NOW, {HOURLY: Level(5, NOW)}, "tokens", 20)[HOURLY].remaining == 0


def test_google_s_word_on_every_quota_is_written_down(ga4, db, client):
    ga4.set(cost=30)

    ask(client)

    said = levels(db)
    assert said[HOURLY] == LIMITS[HOURLY] - 30
    assert said.keys() == {quota.name for quota in QUOTAS}


@pytest.mark.parametrize(
    "quota", [name for name in LIMITS if name in SPARE and name.startswith("tokens")]
)
def test_it_stops_before_a_quota_is_used_up(ga4, db, client, quota):
    ga4.set(remaining=LIMITS | {quota: SPARE[quota] + 3 * FIRST_TOKENS}, cost=FIRST_TOKENS)

    with pytest.raises(TooEarly, match=quota) as caught:
        for _ in range(9):
            ask(client)

    assert len(ga4.journal) == 3
    assert 0 < caught.value.retry_after_s <= (86400 if quota == "tokensPerDay" else 3600)


def test_it_goes_on_when_the_quota_is_whole_again(ga4, db, client):
    ga4.set(remaining=LIMITS | {HOURLY: SPARE[HOURLY]})
    ask(client)
    with pytest.raises(TooEarly):
        ask(client)

    let_pass(db, ga4, 1)

    ask(client)


@pytest.mark.parametrize("quota", ["tokensPerProjectPerHour", "tokensPerDay"])
def test_a_number_that_google_leaves_out_is_zero(ga4, db, client, quota):
    ga4.set(remaining=LIMITS | {quota: 10}, cost=10, enforces=False)

    ask(client)

    assert levels(db)[quota] == 0


def test_without_google_s_word_the_estimate_counts(ga4, db, client):
    ga4.set(says_quota=False)

    ask(client)

    assert levels(db)[HOURLY] == LIMITS[HOURLY] - FIRST_TOKENS


def test_what_a_report_cost_before_is_set_aside_for_it(ga4, db, client, conn, next_run):
    ga4.set(made_up=1, cost=700)
    refresh(conn, Source(client, PROPERTY, "live"), day=shared.DAY, now=NOW, run=next_run())
    ga4.set(remaining=LIMITS | {HOURLY: SPARE[HOURLY] + 1300})
    ask(client)

    with pytest.raises(TooEarly):
        ask(client)

    assert len(ga4.journal) == 3


@pytest.mark.parametrize(
    ("quota", "at_least_s"),
    [
        ("concurrentRequests", 25),
        ("tokensPerHour", 1700),
        ("tokensPerProjectPerHour", 1700),
        ("potentiallyThresholdedRequestsPerHour", 1700),
        ("serverErrorsPerProjectPerHour", 3500),
        ("tokensPerDay", 86000),
    ],
)
def test_after_a_429_nobody_asks_until_the_quota_opens(ga4, db, client, quota, at_least_s):
    ga4.set(remaining=LIMITS | {quota: 0})
    with pytest.raises(QuotaExhausted):
        ask(client)

    with pytest.raises(TooEarly, match=quota) as caught:
        ask(client)

    assert len(ga4.journal) == 1
    assert at_least_s < caught.value.retry_after_s <= at_least_s * 1.3


def test_an_exhausted_day_is_not_asked_for_again_that_day(ga4, db, client):
    ga4.set(remaining=LIMITS | {"tokensPerDay": 0})
    with pytest.raises(QuotaExhausted) as caught:
        ask(client)
    assert caught.value.retryable is False

    for _ in range(23):
        let_pass(db, ga4, 1)
        with pytest.raises(TooEarly):
            ask(client)
    assert len(ga4.journal) == 1
    let_pass(db, ga4, 24)

    ask(client)


def test_server_errors_have_a_budget(ga4, db, client):
    """Ten an hour lock the property out; half of them are ours."""
    ga4.set(refusal=[500, "Internal error encountered."])

    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            ask(client)
    with pytest.raises(TooEarly, match="serverErrors"):
        ask(client)

    assert len(ga4.journal) == 5
    let_pass(db, ga4, 1)
    ga4.set(refusal=None)
    ask(client)


def test_tokens_of_a_request_that_is_under_way_are_set_aside(ga4, db, client):
    """Two workers at once never spend the same tokens."""
    ga4.set(remaining=LIMITS | {HOURLY: SPARE[HOURLY] + 2 * FIRST_TOKENS}, cost=FIRST_TOKENS)
    ask(client)
    ga4.set(delay_s=0.5)
    refused = []

    def try_it():
        try:
            ask(client)
        except TooEarly as error:
            refused.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(ga4.journal), len(refused)) == (2, 3)
    assert under_way(db) == 0


@contextmanager
def others_under_way(db, count, forgotten):
    with db.engine.begin() as conn:
        conn.execute(
            text(f"""
                insert into landing.ga_request (property, report, run_id, tokens, sent_at, forgotten_at)
                select :property, 'channels', 9, 10, clock_timestamp(), clock_timestamp() + interval '{forgotten}'
                from generate_series(1, :count)
            """),
            {"property": PROPERTY, "count": count},
        )
    yield


def under_way(db):
    with db.engine.connect() as conn:
        return conn.execute(text("select count(*) from landing.ga_request")).scalar()


def test_fewer_requests_are_under_way_than_google_allows(ga4, db, client):
    with (
        others_under_way(db, MAX_CONCURRENT, "1 minute"),
        pytest.raises(TooEarly, match=CONCURRENT) as caught,
    ):
        ask(client)

    assert caught.value.retry_after_s == 30
    assert ga4.journal == []


def test_requests_of_a_killed_worker_are_forgotten(ga4, db, client):
    with others_under_way(db, MAX_CONCURRENT, "-1 second"):
        ask(client)

    assert under_way(db) == 0


def test_of_two_answers_that_cross_the_later_request_counts(db):
    from ocd.sources.ga4.metered import _set_level, levels_of

    with db.engine.begin() as conn:
        _set_level(conn, PROPERTY, HOURLY, Level(500, NOW))
        _set_level(conn, PROPERTY, HOURLY, Level(700, NOW - HOUR))
        assert levels_of(conn, PROPERTY)[HOURLY] == Level(500, NOW)
        _set_level(conn, PROPERTY, HOURLY, Level(400, NOW - HOUR))
        assert levels_of(conn, PROPERTY)[HOURLY] == Level(400, NOW)
        _set_level(conn, PROPERTY, HOURLY, Level(900, NOW + HOUR, NOW + DAY))
        _set_level(conn, PROPERTY, HOURLY, Level(800, NOW))
        assert levels_of(conn, PROPERTY)[HOURLY] == Level(800, NOW + HOUR, NOW + DAY)


def test_use_is_counted_by_the_hour(ga4, db, client):
    ask(client)
    ga4.set(delay_s=0.6)
    ask(client)
    ga4.set(delay_s=0, refusal=[503, "no"])
    with pytest.raises(SourceUnavailable):
        ask(client)
    ga4.set(refusal=[429, "Exhausted concurrent requests quota."])
    with pytest.raises(QuotaExhausted):
        ask(client)

    with db.engine.connect() as conn:
        found = conn.execute(text("select * from landing.ga_usage")).mappings().all()
    sums = {name: sum(row[name] for row in found) for name in ("requests", "failed", "refused", "server_errors", "slow")}  # fmt: skip
    assert sums == {"requests": 4, "failed": 2, "refused": 1, "server_errors": 1, "slow": 1}
    assert max(row["longest_ms"] for row in found) >= 600


def test_a_recording_is_not_metered(ga4, db, tmp_path):
    with opened(settings_for(ga4, "recorded", tmp_path)) as found:
        assert metered(found, db.engine, "recorded", run_id=1) is found


def test_thirty_days_of_three_reports_beside_other_consumers(ga4, db, conn, client, next_run):
    """Under 14,000 tokens a project-hour, others taking most of them, no request leaves that is not covered.

    Each stop is taken up again behind what was stored, and nothing is fetched twice.
    """
    ga4.set(made_up=2, cost=40, others=400, today="2027-01-15")
    source = Source(client, PROPERTY, "live", (*REPORTS, DEVICES))
    stops = 0
    for n in range(30):
        day = shared.DAY - timedelta(days=n)
        run = next_run(day.isoformat())
        while True:
            try:
                refresh(conn, source, day=day, now=NOW, run=run)
                break
            except TooEarly:
                stops += 1
                let_pass(db, ga4, 1)
                run.checkpoint = checkpoint(conn, run)

    asked = ga4.journal
    assert len(asked) == 90
    assert stops >= 2
    assert all(one["remaining"][name] >= 40 for one in asked for name in LIMITS if "tokens" in name)
    keys = {(one["body"]["dateRanges"][0]["startDate"], one["body"]["dimensions"][0]["name"]) for one in asked}  # fmt: skip
    assert len(keys) == 90


def checkpoint(conn, run):
    found = conn.execute(text("select checkpoint from ocd.run where id = :id"), {"id": run.id})
    value = found.scalar()
    conn.rollback()
    return value
