"""A GA4 backfill: killed, it repeats at most the partition that it was fetching; short of quota, it waits."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.crash.processes import until
from tests.fakes.ga4 import LIMITS, running_ga4

DAYS = 12
DONE = "select count(*) from ocd.run where job = 'sources.refresh_ga' and state = 'done'"
UNDER_WAY = "select count(*) from ocd.run where job = 'sources.refresh_ga' and state in ('queued', 'running')"
HOURLY = "tokensPerProjectPerHour"


@pytest.fixture
def ga4():
    with running_ga4() as fake:
        fake.set(made_up=4, time_zone="UTC", today="2026-12-24", delay_s=0.1)
        yield fake


def slices(ga4):
    """How often each partition was asked for."""
    return Counter(
        (one["body"]["dateRanges"][0]["startDate"], one["body"]["dimensions"][0]["name"])
        for one in ga4.journal
    )


def settings(ga4):
    return {
        "OCD_GA_BACKEND": "rest",
        "OCD_GA_PROPERTY": "123456",
        "OCD_GA_API_URL": ga4.url,
        "OCD_GA_ACCESS_TOKEN": "token",
    }


def forget(stack):
    """Empty what an earlier test fetched."""
    tables = "ga_partition, landing.ga_row, landing.ga_quota, landing.ga_request, landing.ga_usage"
    stack.run_sql(f"truncate landing.{tables}")


def order(stack, ga4, *, max_active):
    stack.command(
        *("backfill", "sources.refresh_ga", "--from", "2026-11-01", "--to", f"2026-11-{DAYS:02}"),
        *("--max-active", str(max_active), "--no-wait"),
        **settings(ga4),
    )


def waiting(stack):
    return stack.value("select count(*) from ocd.run where not_before is not null")


@pytest.mark.parametrize("killed_after", [3, 8, 15])
def test_a_backfill_that_is_killed_repeats_at_most_one_slice(stack, ga4, killed_after):
    forget(stack)
    first = stack.worker("first", **settings(ga4))
    order(stack, ga4, max_active=1)
    until(lambda: sum(slices(ga4).values()) >= killed_after, "the backfill is under way")
    first.kill()
    stack.worker("second", **settings(ga4))
    until(lambda: stack.value(DONE) == DAYS, "every day is done", 60)

    asked = slices(ga4)
    assert len(asked) == 2 * DAYS
    assert sum(asked.values()) - len(asked) <= 1, "more than one slice was repeated"
    stored = stack.rows(
        "select count(*), count(distinct (p.day, p.report)), min(p.row_count), max(p.row_count) from landing.ga_partition p"
    )
    assert stored == [(2 * DAYS, 2 * DAYS, 4, 4)]
    assert stack.value("select count(*) from landing.ga_row") == 2 * DAYS * 4


def test_a_backfill_under_a_shared_quota_waits_and_goes_on(stack, ga4):
    """Two workers and others on one property: nobody is refused, nobody uses up an attempt."""
    forget(stack)
    ga4.set(cost=50, others=50, delay_s=0.05, remaining=LIMITS | {HOURLY: 1_400 + 12 * 100})
    for name in ("first", "second"):
        stack.worker(name, children=2, **settings(ga4))
    order(stack, ga4, max_active=4)
    until(lambda: waiting(stack), "the quota holds runs back", 60)
    until(lambda: not stack.value(UNDER_WAY), "nobody is at work", 60)

    held = stack.rows("select attempt, error_class from ocd.run where not_before is not null")
    assert set(held) == {(0, "TooEarly")}
    ga4.move_clock(1)
    stack.run_sql("update landing.ga_quota set as_of = as_of - interval '1 hour'")
    stack.run_sql("update ocd.run set not_before = clock_timestamp() where not_before is not null")
    until(lambda: stack.value(DONE) == DAYS, "every day is done", 60)

    asked = slices(ga4)
    assert (len(asked), sum(asked.values())) == (2 * DAYS, 2 * DAYS)
    assert all(one["remaining"][HOURLY] >= 1_400 for one in ga4.journal)
    assert stack.value("select max(attempt) from ocd.run where job = 'sources.refresh_ga'") == 1
    assert set(stack.rows("select outcome from ocd.attempt where outcome <> 'done'")) == {("deferred",)}  # fmt: skip
