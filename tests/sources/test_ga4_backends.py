"""One suite that every GA4 backend passes: recorded, REST, and MCP; then what is one's own."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import date

import pytest

from ocd.core.errors import ConfigError, ContractBroken, QuotaExhausted, SourceUnavailable
from ocd.core.settings import Settings
from ocd.sources.ga4.backends import opened, origin_of
from ocd.sources.ga4.mcp import McpClient
from ocd.sources.ga4.pages import MAX_PAGES
from ocd.sources.ga4.policy import MAX_CONCURRENT
from ocd.sources.ga4.recorded import RecordedClient
from ocd.sources.ga4.reports import CHANNELS, LANDING_PAGES
from ocd.sources.ga4.rest import RestClient
from tests.fakes.ga4 import LIMITS, SAID
from tests.sources.ga4 import (
    BACKENDS,
    LIVE,
    PROPERTY,
    TOKEN,
    channels,
    pages,
    read,
    rows_of,
    settings_for,
)


def opened_as(ga4, backend, folder, **changed):
    return opened(settings_for(ga4, backend, folder, **changed))


every_backend = pytest.mark.parametrize("backend", BACKENDS)
live_backend = pytest.mark.parametrize("backend", LIVE)


@pytest.fixture
def client(ga4, backend, tmp_path):
    """Opens at the first use, when the fake says what it shall."""
    with ExitStack() as stack:

        class Late:
            def run_report(self, property_id, request):
                found = stack.enter_context(opened(settings_for(ga4, backend, tmp_path)))
                self.run_report = found.run_report
                return found.run_report(property_id, request)

        yield Late()


@every_backend
@pytest.mark.parametrize("count", [0, 1, 2, 5, 6])
def test_every_backend_gives_the_same_answer(ga4, client, count):
    ga4.set(rows={"date": pages(count)})

    found = read(client, LANDING_PAGES)

    assert rows_of(found) == [("20261123", f"/page-{n}", str(n + 1)) for n in range(count)]
    assert [page.row_count for page in found] == [count] * max(1, (count + 1) // 2)
    assert {(page.time_zone, page.currency) for page in found} == {("America/Chicago", "USD")}
    assert sum(page.totals[0] for page in found) == sum(range(count + 1))


@every_backend
def test_every_backend_names_metrics_in_order(ga4, client):
    ga4.set(rows={"sessionDefaultChannelGroup": channels(3)})

    found = read(client, CHANNELS)

    assert rows_of(found) == [(f"Channel {n}", str(n + 1), str(n)) for n in range(3)]
    assert [sum(page.totals[n] for page in found) for n in (0, 1)] == [6, 3]


@every_backend
def test_every_backend_keeps_empty_and_strange_values(ga4, client):
    strange = ["", "(not set)", "/ü\t\n\\n\"'%s", "\u0000", "(other)"]
    ga4.set(rows={"date": [[["20261123", value], ["1"]] for value in strange]})

    found = read(client, LANDING_PAGES)

    assert [row[1] for row in rows_of(found)] == strange


@every_backend
def test_every_backend_tells_the_four_flags_apart(ga4, client):
    rows = [*pages(2), [["(other)", "(other)"], ["9"]]]
    ga4.set(rows={"date": rows, "sessionDefaultChannelGroup": channels(1)})
    ga4.set(metadata_at={"0": {"samplingMetadatas": [{"samplesReadCount": "1"}]}})

    first, second = (page.quality for page in read(client, LANDING_PAGES))

    if first.is_sampled:  # a recording keeps one metadata for all pages
        assert not first.has_other_row
    assert second.has_other_row
    assert (first.has_data_loss, first.is_thresholded) == (False, False)


@every_backend
def test_a_flag_is_thresholding_or_data_loss(ga4, client):
    ga4.set(rows={"date": pages(1)})
    ga4.set(metadata_at={"0": {"subjectToThresholding": True, "dataLossFromOtherRow": True}})

    (page,) = read(client, LANDING_PAGES)

    assert (page.quality.is_thresholded, page.quality.has_data_loss) == (True, True)
    assert (page.quality.is_sampled, page.quality.has_other_row) == (False, False)


@every_backend
def test_a_renamed_metric_breaks_the_contract(ga4, client):
    ga4.set(rows={"date": pages(2)}, renamed_metric="visits")

    with pytest.raises(ContractBroken, match="visits"):
        read(client, LANDING_PAGES)


@every_backend
@pytest.mark.parametrize("value", ["NaN", "Infinity", "twelve", ""])
def test_a_metric_that_is_no_number_breaks_the_contract(ga4, client, value):
    ga4.set(rows={"date": [*pages(1), [["20261123", "/x"], [value]]]})

    with pytest.raises(ContractBroken, match="headers"):
        read(client, LANDING_PAGES)


@every_backend
@pytest.mark.parametrize(
    "raw", ["<html>proxy login</html>", "{}", "[]", "null", "7", '{"kind": "x", "rows": [{}]}']
)
def test_an_answer_of_another_shape_breaks_the_contract(ga4, client, backend, raw):
    ga4.set(raw=raw)

    with pytest.raises(ConfigError if backend == "recorded" and "<" in raw else ContractBroken):
        read(client, LANDING_PAGES)


@live_backend
def test_rows_of_another_day_break_the_contract(ga4, client):
    ga4.set(rows={"date": [[["20261122", "/page"], ["1"]]]})

    with pytest.raises(ContractBroken, match="another day"):
        read(client, LANDING_PAGES)


@live_backend
def test_paging_asks_for_every_row_of_the_day_in_order(ga4, client):
    ga4.set(rows={"date": pages(5)})

    read(client, LANDING_PAGES)

    asked = [one["body"] for one in ga4.journal]
    assert [(int(one["offset"]), int(one["limit"])) for one in asked] == [(0, 2), (1, 3), (3, 3)]
    assert asked[0]["dateRanges"] == [{"startDate": "2026-11-23", "endDate": "2026-11-23"}]
    assert [one["dimension"]["dimensionName"] for one in asked[0]["orderBys"]] == [
        "date",
        "landingPage",
    ]
    assert asked[0]["returnPropertyQuota"] is True
    assert {one["path"] for one in ga4.journal} == {f"/v1beta/properties/{PROPERTY}:runReport"}


@live_backend
def test_a_flag_on_a_later_page_is_seen(ga4, client):
    ga4.set(rows={"date": pages(4)}, metadata_at={"3": {"subjectToThresholding": True}})

    first, second = read(client, LANDING_PAGES)

    assert (first.quality.is_thresholded, second.quality.is_thresholded) == (False, True)
    assert (first.quality | second.quality).is_thresholded


@live_backend
@pytest.mark.parametrize("shift", ["shifts", "moves", "drops"])
def test_rows_that_shift_once_are_fetched_again(ga4, client, shift):
    ga4.set(rows={"date": pages(4)}, **{shift: 1})

    found = read(client, LANDING_PAGES)

    assert rows_of(found) == [("20261123", f"/page-{n}", str(n + 1)) for n in range(4)]
    assert len(ga4.journal) == 4


@live_backend
@pytest.mark.parametrize("shift", ["shifts", "moves", "drops"])
def test_rows_that_keep_shifting_break_the_contract_after_one_refetch(ga4, client, shift):
    ga4.set(rows={"date": pages(4)}, **{shift: -1})

    with pytest.raises(ContractBroken, match="shift"):
        read(client, LANDING_PAGES)

    assert len(ga4.journal) == 4


@live_backend
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
def test_every_refusal_says_what_to_do_next(ga4, client, status, message, error, retryable):
    ga4.set(refusal=[status, message])

    with pytest.raises(error) as caught:
        read(client, LANDING_PAGES)

    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert getattr(caught.value, "is_server_error", False) is (status >= 500)
    assert TOKEN not in repr(caught.value.__dict__) + str(caught.value)


@live_backend
@pytest.mark.parametrize(
    ("quota", "seconds"),
    [
        ("tokensPerDay", None),
        ("tokensPerHour", 1800),
        ("tokensPerProjectPerHour", 1800),
        ("concurrentRequests", 30),
        ("serverErrorsPerProjectPerHour", 3600),
        ("potentiallyThresholdedRequestsPerHour", 1800),
    ],
)
def test_each_429_text_says_which_quota_and_when_it_opens(ga4, client, quota, seconds):
    ga4.set(remaining=LIMITS | {quota: 0})

    with pytest.raises(QuotaExhausted, match="Exhausted") as caught:
        read(client, LANDING_PAGES)

    assert (caught.value.quota, caught.value.retry_after_s) == (quota, seconds)
    assert caught.value.retryable is (seconds is not None)
    assert "http" not in caught.value.message.replace(SAID[quota], "")
    assert len(ga4.journal) == 1, "a refusal is never asked again at once"


@live_backend
def test_a_429_without_words_waits_as_for_an_hour(ga4, client):
    ga4.set(refusal=[429, ""])

    with pytest.raises(QuotaExhausted) as caught:
        read(client, LANDING_PAGES)

    assert caught.value.retry_after_s == 1800


@live_backend
def test_a_token_that_the_server_repeats_is_not_shown(ga4, tmp_path, backend):
    ga4.set(refusal=[400, f"Bad header: Bearer {TOKEN}"])

    with (
        opened_as(ga4, backend, tmp_path, ga_mcp_token=TOKEN) as client,
        pytest.raises(ContractBroken, match=r"Bearer \*\*\*"),
    ):
        read(client, LANDING_PAGES)


def test_only_rest_sends_the_token_and_only_in_a_header(ga4, tmp_path):
    with opened_as(ga4, "rest", tmp_path) as client:
        read(client, LANDING_PAGES)

    (asked,) = ga4.journal
    assert asked["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in asked["path"] + str(asked["body"])


def test_a_recording_counts_as_the_day_that_is_asked(ga4, tmp_path):
    ga4.set(rows={"date": [[["20250101", "/page"], ["1"]]]})

    with opened_as(ga4, "recorded", tmp_path) as client:
        found = read(client, LANDING_PAGES, day=date(2026, 11, 20))

    assert rows_of(found) == [("20261120", "/page", "1")]


def test_a_day_of_endless_pages_is_given_up(ga4, tmp_path):
    rows = [[["20261123", f"/{n:05}"], ["1"]] for n in range(MAX_PAGES + 1)]
    ga4.set(rows={"date": rows})

    with (
        opened_as(ga4, "recorded", tmp_path) as client,
        pytest.raises(ContractBroken, match="pages"),
    ):
        read(client, LANDING_PAGES, page_rows=1)


@pytest.mark.parametrize("url", ["http://api.test", "ftp://127.0.0.1", "api.test"])
@pytest.mark.parametrize(("setting", "backend"), [("ga_api_url", "rest"), ("ga_mcp_url", "mcp")])
def test_no_token_travels_in_clear_text(ga4, tmp_path, url, setting, backend):
    changed = {"ga_mcp_command": None, setting: url}

    with (
        pytest.raises(ConfigError, match=f"OCD_{setting.upper()}"),
        opened_as(ga4, backend, tmp_path, **changed),
    ):
        pass


@pytest.mark.parametrize(
    "settings",
    [
        {"ga_api_url": "http://127.0.0.1:1"},
        {"ga_backend": "mcp", "ga_mcp_command": None, "ga_mcp_url": "http://127.0.0.1:1/mcp"},
        {"ga_backend": "mcp", "ga_mcp_command": f"{sys.executable} -c pass"},
    ],
    ids=["rest", "mcp over http", "mcp that ends"],
)
def test_a_server_that_is_away_is_worth_a_retry(ga4, tmp_path, settings):
    with (
        opened_as(ga4, "rest", tmp_path, **settings) as client,
        pytest.raises(SourceUnavailable) as caught,
    ):
        read(client, LANDING_PAGES)

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no json"])
def test_a_missing_or_broken_recording_is_a_setting_to_fix(tmp_path, content):
    if content is not None:
        (tmp_path / "landing_pages.json").write_text(content)

    with pytest.raises(ConfigError, match="OCD_GA_RECORDINGS"):
        read(RecordedClient(tmp_path), LANDING_PAGES)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, "OCD_GA_BACKEND"),
        ({"ga_backend": "recorded"}, "OCD_GA_RECORDINGS"),
        ({"ga_backend": "rest"}, "OCD_GA_PROPERTY"),
        ({"ga_backend": "mcp"}, "OCD_GA_PROPERTY"),
        ({"ga_backend": "rest", "ga_property": PROPERTY}, "OCD_GA_ACCESS_TOKEN"),
        ({"ga_backend": "mcp", "ga_property": PROPERTY}, "OCD_GA_MCP_URL or OCD_GA_MCP_COMMAND"),
        (
            {"ga_backend": "mcp", "ga_property": PROPERTY, "ga_mcp_command": "sh -c 'exit'"},
            "OCD_GA_MCP_ALLOW_COMMANDS",
        ),
    ],
)
def test_a_backend_that_lacks_a_setting_names_it(changed, named):
    with pytest.raises(ConfigError, match=named), opened(Settings(**changed)):
        pass


def test_a_backend_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match="did you mean 'rest'"), opened(Settings(), "rst"):
        pass


def test_a_key_file_that_is_none_is_a_setting_to_fix(tmp_path):
    path = tmp_path / "key.json"
    path.write_text("{}")
    settings = Settings(ga_backend="rest", ga_property=PROPERTY, ga_credentials_file=path)

    with pytest.raises(ConfigError, match="OCD_GA_CREDENTIALS_FILE"), opened(settings):
        pass


@pytest.mark.parametrize(
    ("backend", "kind", "origin"),
    [
        ("rest", RestClient, "live"),
        ("mcp", McpClient, "live"),
        ("recorded", RecordedClient, "recorded"),
    ],
)
def test_one_setting_chooses_the_backend(ga4, tmp_path, backend, kind, origin):
    with opened_as(ga4, backend, tmp_path) as client:
        assert type(client) is kind

    assert origin_of(backend) == origin


def test_less_is_under_way_at_once_than_google_allows():
    assert LIMITS["concurrentRequests"] > MAX_CONCURRENT


@pytest.mark.parametrize("report", [LANDING_PAGES, CHANNELS])
def test_what_is_asked_fits_the_api(report):
    """At most nine dimensions and ten metrics (Data API reference)."""
    assert len(report.dimensions) <= 9
    assert len(report.metrics) <= 10
