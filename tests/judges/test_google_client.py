"""Google's own client understands the fake Data API, and reads the same from it as ours."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from functools import reduce
from operator import or_
from urllib.parse import urlsplit

import pytest

from ocd.core.errors import ConfigError, ContractBroken, QuotaExhausted, SourceUnavailable
from ocd.core.settings import PROJECT
from ocd.sources.ga4.reports import LANDING_PAGES, REPORTS
from ocd.sources.ga4.rest import RestClient
from tests.fakes.ga4 import LIMITS, SAID, running_ga4
from tests.sources.ga4 import DAY, PROPERTY, pages, read, rows_of

JUDGE = PROJECT / ".venv-ga4" / "bin" / "python"

pytestmark = pytest.mark.skipif(not JUDGE.exists(), reason="set it up with: .ci/run ga4")


@pytest.fixture(scope="module")
def running():
    with running_ga4() as fake:
        yield fake


@pytest.fixture
def ga4(running):
    running.forget()
    return running


def judged(ga4, reports=REPORTS, page_rows=4):
    done = subprocess.run(
        [JUDGE, PROJECT / "tests" / "judges" / "google_client.py", urlsplit(ga4.url).netloc, PROPERTY, DAY.isoformat(), str(page_rows)],
        input=json.dumps([[one.dimensions, one.metrics] for one in reports]),
        capture_output=True,
        text=True,
        timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ours(ga4, report, page_rows=4):
    with closing(RestClient(ga4.url, lambda: "token")) as client:
        found = read(client, report, page_rows=page_rows)
    quality = reduce(or_, (page.quality for page in found))
    return {
        "rows": [list(row) for row in rows_of(found)],
        "row_count": found[0].row_count,
        "is_thresholded": quality.is_thresholded,
        "is_sampled": quality.is_sampled,
        "has_data_loss": quality.has_data_loss,
        "time_zone": found[0].time_zone,
        "currency": found[0].currency,
    }


@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_both_read_the_same_rows_from_the_same_pages(ga4, count):
    ga4.set(made_up=count)

    theirs = judged(ga4)

    assert [one.pop("tokens_left") < LIMITS["tokensPerDay"] for one in theirs] == [True] * 2
    assert theirs == [ours(ga4, report) for report in REPORTS]


def test_both_see_the_same_flags_on_a_later_page(ga4):
    ga4.set(rows={"date": pages(7)})
    flags = {"subjectToThresholding": True, "dataLossFromOtherRow": True}
    ga4.set(
        metadata_at={
            "5": flags
            | {"samplingMetadatas": [{"samplesReadCount": "5", "samplingSpaceSize": "9"}]}
        }
    )

    (theirs,) = judged(ga4, [LANDING_PAGES])

    theirs.pop("tokens_left")
    assert theirs == ours(ga4, LANDING_PAGES)
    assert (theirs["is_thresholded"], theirs["is_sampled"], theirs["has_data_loss"]) == (True,) * 3


def test_both_keep_empty_and_strange_values(ga4):
    strange = ["", "(not set)", "(other)", "/ü\t\n\\n\"'%s", "/🎉"]
    ga4.set(rows={"date": [[["20261123", value], ["1"]] for value in strange]})

    (theirs,) = judged(ga4, [LANDING_PAGES])

    assert theirs["rows"] == ours(ga4, LANDING_PAGES)["rows"]
    assert [row[1] for row in theirs["rows"]] == strange


@pytest.mark.parametrize(
    ("refusal", "theirs", "our_error"),
    [
        ([400, "Field x is not a valid metric."], "BadRequest", ContractBroken),
        # Not 401: Google's client then asks for another token, which this one has not.
        ([403, "User does not have sufficient permissions."], "Forbidden", ConfigError),
        ([503, "The service is currently unavailable."], "ServiceUnavailable", SourceUnavailable),
    ],
)
def test_both_call_a_refusal_by_its_name(ga4, refusal, theirs, our_error):
    ga4.set(refusal=refusal)

    (found,) = judged(ga4, [LANDING_PAGES])

    assert found["error"] == theirs
    with pytest.raises(our_error):
        ours(ga4, LANDING_PAGES)


@pytest.mark.parametrize("quota", LIMITS)
def test_both_get_google_s_words_for_a_quota(ga4, quota):
    ga4.set(remaining=LIMITS | {quota: 0})

    (found,) = judged(ga4, [LANDING_PAGES])

    assert SAID[quota] in found["said"]
    with pytest.raises(QuotaExhausted, match="Exhausted"):
        ours(ga4, LANDING_PAGES)
