"""Every shape that the Data API answers in is understood, and what is none is refused."""

from __future__ import annotations

import json

import pytest

from ocd.core.errors import ConfigError, ContractBroken, QuotaExhausted, SourceUnavailable
from ocd.sources.ga4.answers import Page
from tests.fakes.ga4 import SAID
from tests.sources.ga4_shapes import main, told

HEAD = {
    "dimensionHeaders": [{"name": "date"}, {"name": "landingPage"}],
    "metricHeaders": [{"name": "sessions", "type": "TYPE_INTEGER"}],
}
TAIL = {"metadata": {"currencyCode": "USD", "timeZone": "UTC"}, "kind": "analyticsData#runReport"}


def row(page, number, day="20261118"):
    return {"dimensionValues": [{"value": day}, {"value": page}], "metricValues": [{"value": number}]}  # fmt: skip


def answer(*rows, **more):
    return HEAD | {"rows": list(rows), "rowCount": len(rows)} | TAIL | more


def error(code, message):
    return {"error": {"code": code, "message": message, "status": "X"}}


TOTALS = {"totals": [{"dimensionValues": [{"value": "RESERVED_TOTAL"}], "metricValues": [{"value": "9"}]}]}  # fmt: skip
SHAPES = {
    "ok": (answer(row("/", "4"), row("/a", "5")), 2),
    "money": (answer(row("/", "412.50"), row("/a", "1e3")), 2),
    "totals are no rows": (answer(row("/", "9"), **TOTALS), 1),
    "empty with headers": (HEAD | TAIL, 0),
    "empty without headers": (TAIL, 0),
    "empty with a reason": (TAIL | {"metadata": {"emptyReason": "NO_DATA"}}, 0),
    "other row": (answer(row("(other)", "4", "(other)"), row("/", "5")), 2),
    "several days": (answer(row("/", "4"), row("/", "5", "20261119")), 1),
    "batch": ({"reports": [answer(row("/", "1"))], "kind": "analyticsData#batchRunReports"}, 1),
    "400": (error(400, "Field x is not a valid dimension."), ContractBroken),
    "401": (error(401, "no"), ConfigError),
    "403": (error(403, "no"), ConfigError),
    "500": (error(500, "no"), SourceUnavailable),
    "503": (error(503, "no"), SourceUnavailable),
    "no metadata": (HEAD, ContractBroken),
    "a row too wide": (answer(row("/", "4") | {"metricValues": [{"value": "1"}] * 2}), ContractBroken),
    "a number as a number": (answer(row("/", 4)), ContractBroken),
    "no such zone": (TAIL | {"metadata": {"timeZone": "Mars/Olympus"}}, ContractBroken),
    "headers gone": ({"rows": [row("/", "1")]} | TAIL, ContractBroken),
} | {f"429 {name}": (error(429, said), QuotaExhausted) for name, said in SAID.items()}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_read_or_refused(tmp_path, name):
    shape, expected = SHAPES[name]
    (tmp_path / "shape.json").write_text(json.dumps(shape))

    ((_, found),) = told(tmp_path)

    if isinstance(expected, int):
        assert isinstance(found, Page), found
        assert len(found.rows) == expected
    else:
        assert type(found) is expected


def test_the_drill_tells_of_each_and_fails_on_what_it_does_not_understand(tmp_path, capsys):
    for name in ("ok", "503"):
        (tmp_path / f"{name}.json").write_text(json.dumps(SHAPES[name][0]))
    assert main(tmp_path) == 0
    (tmp_path / "broken.json").write_text(json.dumps(HEAD))

    assert main(tmp_path) == 1

    assert "neither kind nor metadata" in capsys.readouterr().out
