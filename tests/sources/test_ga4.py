"""GA4: both backends, every refusal, and the replacement of partitions."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from ocd.core.errors import (
    ConfigError,
    ContractBroken,
    PolicyRefused,
    QuotaExhausted,
    SourceUnavailable,
)
from ocd.core.settings import Settings
from ocd.sources.ga4.backends import open_client
from ocd.sources.ga4.recorded import RecordedClient
from ocd.sources.ga4.refresh import refresh
from ocd.sources.ga4.reports import CHANNELS, LANDING_PAGES, REPORTS
from ocd.sources.ga4.rest import MAX_PAGES, RestClient
from tests.factories.clock import NOW

DAY = date(2026, 11, 23)
TOKEN = "ya29.very-secret"
PROPERTY = "123456"


@pytest.fixture
def rest(ga4):
    return lambda page_rows=2: RestClient(ga4.url, lambda: TOKEN, page_rows=page_rows)


def pages(count, name="/page-{}"):
    return [(("20261123", name.format(n)), (str(n + 1),)) for n in range(count)]


def channels(count):
    return [((f"Channel {n}",), (str(n + 1), str(n))) for n in range(count)]


@pytest.fixture
def recorded(ga4, tmp_path):
    """Record what the API says now, whole, and replay it."""

    def make():
        for report in REPORTS:
            asked = {
                "dimensions": [{"name": name} for name in report.dimensions],
                "metrics": [{"name": name} for name in report.metrics],
                "limit": 100_000,
            }
            (tmp_path / f"{report.name}.json").write_text(json.dumps(ga4.answer(asked)))
        return RecordedClient(tmp_path)

    return make


@pytest.mark.parametrize("backend", ["rest", "recorded"])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_backend_gives_the_same_answer(ga4, rest, recorded, backend, count):
    ga4.rows["date"] = pages(count)
    client = rest() if backend == "rest" else recorded()

    found = client.run_report(PROPERTY, LANDING_PAGES, DAY)

    assert found.rows == tuple(
        ({"date": "20261123", "landingPage": f"/page-{n}"}, {"sessions": str(n + 1)})
        for n in range(count)
    )
    assert (found.row_count, found.time_zone, found.currency) == (count, "America/Chicago", "USD")


@pytest.mark.parametrize("backend", ["rest", "recorded"])
def test_every_backend_reports_the_other_row(ga4, rest, recorded, backend):
    ga4.rows["date"] = [*pages(2), (("(other)", "(other)"), ("9",))]
    client = rest() if backend == "rest" else recorded()

    found = client.run_report(PROPERTY, LANDING_PAGES, DAY)

    assert found.quality.has_other_row


@pytest.mark.parametrize("backend", ["rest", "recorded"])
def test_a_renamed_metric_breaks_the_contract(ga4, rest, recorded, backend):
    ga4.rows["date"] = pages(2)
    ga4.renamed_metric = "visits"
    client = rest() if backend == "rest" else recorded()

    with pytest.raises(ContractBroken, match="visits"):
        client.run_report(PROPERTY, LANDING_PAGES, DAY)


def test_rows_of_another_day_break_the_contract(ga4, rest):
    ga4.rows["date"] = [(("20261122", "/page"), ("1",))]

    with pytest.raises(ContractBroken, match="another day"):
        rest().run_report(PROPERTY, LANDING_PAGES, DAY)


def test_a_recording_counts_as_the_day_that_is_asked(ga4, recorded):
    ga4.rows["date"] = [(("20250101", "/page"), ("1",))]

    found = recorded().run_report(PROPERTY, LANDING_PAGES, DAY)

    assert found.rows[0][0]["date"] == "20261123"


def test_paging_asks_for_every_row_of_the_day_in_order(ga4, rest):
    ga4.rows["date"] = pages(5)

    rest(page_rows=2).run_report(PROPERTY, LANDING_PAGES, DAY)

    assert [int(body["offset"]) for _, _, body in ga4.journal] == [0, 2, 4]
    path, headers, body = ga4.journal[0]
    assert path == f"/v1beta/properties/{PROPERTY}:runReport"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body["dateRanges"] == [{"startDate": "2026-11-23", "endDate": "2026-11-23"}]
    assert body["orderBys"]


def test_a_flag_on_any_page_counts(ga4, rest):
    ga4.rows["date"] = pages(4)
    ga4.metadata_at = {2: {"subjectToThresholding": True, "dataLossFromOtherRow": True}}

    quality = rest(page_rows=2).run_report(PROPERTY, LANDING_PAGES, DAY).quality

    assert quality.is_thresholded
    assert quality.has_data_loss
    assert not quality.is_sampled


def test_rows_that_shift_once_are_fetched_again(ga4, rest):
    ga4.rows["date"] = pages(4)
    ga4.shifts = 1

    found = rest(page_rows=2).run_report(PROPERTY, LANDING_PAGES, DAY)

    assert len(found.rows) == 4
    assert len(ga4.journal) == 4


def test_rows_that_keep_shifting_break_the_contract_after_one_refetch(ga4, rest):
    ga4.rows["date"] = pages(4)
    ga4.shifts = -1

    with pytest.raises(ContractBroken, match="shift"):
        rest(page_rows=2).run_report(PROPERTY, LANDING_PAGES, DAY)

    assert len(ga4.journal) == 4


def test_a_row_that_stands_on_two_pages_is_a_shift_even_when_the_count_agrees(ga4, rest):
    ga4.rows["date"] = pages(4)
    ga4.repeats_row = True

    with pytest.raises(ContractBroken, match="shift"):
        rest(page_rows=2).run_report(PROPERTY, LANDING_PAGES, DAY)


@pytest.mark.parametrize(
    ("status", "message", "error", "retryable"),
    [
        (400, "Field visits is not a valid metric.", ContractBroken, False),
        (401, "Request had invalid authentication credentials.", ConfigError, False),
        (403, "User does not have sufficient permissions.", ConfigError, False),
        (404, "Not found.", ContractBroken, False),
        (500, "Internal error.", SourceUnavailable, True),
        (503, "The service is currently unavailable.", SourceUnavailable, True),
    ],
)
def test_every_refusal_says_what_to_do_next(ga4, rest, status, message, error, retryable):
    ga4.refusal = (status, message)

    with pytest.raises(error) as caught:
        rest().run_report(PROPERTY, LANDING_PAGES, DAY)

    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert TOKEN not in repr(caught.value.__dict__) + str(caught.value)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (
            "Exhausted property tokens per day. These quota tokens will return in under 24 hours.",
            None,
        ),
        (
            "Exhausted property tokens per hour. These quota tokens will return in under an hour.",
            1800,
        ),
        ("Exhausted concurrent requests quota. Please wait for previous requests to finish.", 30),
        ("Exhausted server errors per project per hour.", 3600),
        ("Exhausted potentially thresholded requests quota.", 1800),
        ("", 1800),
    ],
)
def test_a_quota_says_when_it_opens_again(ga4, rest, message, seconds):
    ga4.refusal = (429, message)

    with pytest.raises(QuotaExhausted) as caught:
        rest().run_report(PROPERTY, LANDING_PAGES, DAY)

    assert caught.value.retry_after_s == seconds
    assert caught.value.retryable is (seconds is not None)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"<html>proxy login</html>", b"", b"{}", b"[]", b"null", b"7", b'{"kind": "x", "rows": [{}]}'],
)
def test_an_answer_of_another_shape_breaks_the_contract(ga4, rest, raw):
    ga4.raw = raw

    with pytest.raises(ContractBroken) as caught:
        rest().run_report(PROPERTY, LANDING_PAGES, DAY)

    assert TOKEN not in str(caught.value)


def test_a_token_that_the_server_repeats_is_not_shown(ga4, rest):
    ga4.refusal = (400, f"Bad header: Bearer {TOKEN}")

    with pytest.raises(ContractBroken) as caught:
        rest().run_report(PROPERTY, LANDING_PAGES, DAY)

    assert TOKEN not in str(caught.value)


def test_a_day_of_endless_pages_is_given_up(ga4, rest):
    ga4.rows["date"] = pages(MAX_PAGES + 1)

    with pytest.raises(ContractBroken, match="pages"):
        rest(page_rows=1).run_report(PROPERTY, LANDING_PAGES, DAY)

    assert len(ga4.journal) == MAX_PAGES


@pytest.mark.parametrize("url", ["http://api.test", "ftp://127.0.0.1", "api.test", ""])
def test_the_token_never_travels_in_clear_text(url):
    with pytest.raises(ConfigError, match="OCD_GA_API_URL"):
        RestClient(url, lambda: TOKEN)


def test_a_server_that_is_away_is_worth_a_retry():
    client = RestClient("http://127.0.0.1:1", lambda: TOKEN)

    with pytest.raises(SourceUnavailable) as caught:
        client.run_report(PROPERTY, LANDING_PAGES, DAY)

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no json"])
def test_a_missing_or_broken_recording_is_a_setting_to_fix(tmp_path, content):
    if content is not None:
        (tmp_path / "landing_pages.json").write_text(content)

    with pytest.raises(ConfigError, match="OCD_GA_RECORDINGS"):
        RecordedClient(tmp_path).run_report(PROPERTY, LANDING_PAGES, DAY)


def go(conn, client, run, origin="live", **changed):
    options = {"property_id": PROPERTY, "origin": origin, "day": DAY, "now": NOW, "run": run}
    return refresh(conn, client, **(options | changed))


def stored(conn):
    rows = conn.execute(
        text("""
            select p.report, p.origin, p.row_count, r.dimensions, r.metrics
            from landing.ga_partition p left join landing.ga_row r on r.partition_id = p.id
            order by p.report, r.row_number
        """)
    ).all()
    conn.rollback()
    return [tuple(row) for row in rows]


def test_a_refresh_stores_every_report_with_its_flags(conn, next_run, ga4, rest):
    ga4.rows = {"date": pages(3), "sessionDefaultChannelGroup": channels(2)}
    ga4.metadata_at = {2: {"subjectToThresholding": True}}

    report = go(conn, rest(), next_run())

    assert report.rows_by_report == {"landing_pages": 3, "channels": 2}
    assert (report.rows, report.origin, report.is_provisional) == (5, "live", True)
    assert len(stored(conn)) == 5
    flags = conn.execute(text("select report, is_thresholded from landing.ga_partition")).all()
    assert {tuple(row) for row in flags} == {("landing_pages", True), ("channels", False)}


def test_a_day_refreshed_twice_is_replaced_not_doubled(conn, next_run, ga4, rest):
    ga4.rows = {"date": pages(3), "sessionDefaultChannelGroup": channels(2)}
    go(conn, rest(), next_run())
    ga4.rows["date"] = pages(2, "/new-{}")

    for _ in range(2):
        go(conn, rest(), next_run(), now=NOW + timedelta(days=4))

    found = stored(conn)
    landed = [row[3]["landingPage"] for row in found if row[0] == "landing_pages"]
    assert landed == ["/new-0", "/new-1"]
    assert len(found) == 4
    provisional = conn.execute(text("select bool_or(is_provisional) from landing.ga_partition"))
    assert provisional.scalar() is False


def test_an_empty_day_replaces_a_full_one(conn, next_run, ga4, rest):
    ga4.rows = {"date": pages(3)}
    go(conn, rest(), next_run())
    ga4.rows = {}

    report = go(conn, rest(), next_run())

    assert report.rows == 0
    assert [row[2:] for row in stored(conn)] == [(0, None, None)] * 2


def test_recorded_data_never_replaces_live_data(conn, next_run, ga4, rest, recorded):
    ga4.rows = {"date": pages(3), "sessionDefaultChannelGroup": channels(2)}
    go(conn, rest(), next_run())
    before = stored(conn)
    ga4.rows = {"date": pages(1)}

    with pytest.raises(PolicyRefused, match="recorded"):
        go(conn, recorded(), next_run(), origin="recorded")

    assert stored(conn) == before


def test_live_data_replaces_recorded_data(conn, next_run, ga4, rest, recorded):
    ga4.rows = {"date": pages(3)}
    go(conn, recorded(), next_run(), origin="recorded")

    go(conn, rest(), next_run())

    assert {row[1] for row in stored(conn)} == {"live"}


@pytest.mark.parametrize("status", [403, 429, 500])
def test_a_failure_in_the_last_report_leaves_every_old_partition(conn, next_run, ga4, rest, status):
    ga4.rows = {"date": pages(3), "sessionDefaultChannelGroup": channels(2)}
    go(conn, rest(), next_run())
    before = stored(conn)
    ga4.rows["date"] = pages(1)
    ga4.refusal, ga4.refuse_only = (status, "no"), CHANNELS.dimensions[0]

    with pytest.raises((ConfigError, QuotaExhausted, SourceUnavailable)):
        go(conn, rest(), next_run())

    assert stored(conn) == before


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, "OCD_GA_BACKEND"),
        ({"ga_backend": "recorded"}, "OCD_GA_RECORDINGS"),
        ({"ga_backend": "rest"}, "OCD_GA_PROPERTY"),
        ({"ga_backend": "rest", "ga_property": PROPERTY}, "OCD_GA_ACCESS_TOKEN"),
    ],
)
def test_a_backend_that_lacks_a_setting_names_it(changed, named):
    with pytest.raises(ConfigError, match=named):
        open_client(Settings(**changed))


def test_a_key_file_that_is_none_is_a_setting_to_fix(tmp_path):
    path = tmp_path / "key.json"
    path.write_text("{}")
    settings = Settings(ga_backend="rest", ga_property=PROPERTY, ga_credentials_file=path)

    with pytest.raises(ConfigError, match="OCD_GA_CREDENTIALS_FILE"):
        open_client(settings)


def test_the_backend_that_is_set_is_opened_with_its_origin(tmp_path):
    live, live_origin = open_client(
        Settings(ga_backend="rest", ga_property=PROPERTY, ga_access_token=TOKEN)
    )
    replay, replay_origin = open_client(Settings(ga_backend="recorded", ga_recordings=tmp_path))

    assert (type(live), live_origin) == (RestClient, "live")
    assert (type(replay), replay_origin) == (RecordedClient, "recorded")
