"""What every GA4 backend answers, and how the API's JSON becomes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from ocd.core.errors import ContractBroken
from ocd.sources.ga4.reports import GaReport

#: Google's row for values it did not keep apart; it appears in every dimension, even in dates.
OTHER = "(other)"
Row = tuple[dict[str, str], dict[str, str]]


@dataclass(frozen=True)
class Quality:
    """What Google says about the numbers; each is a different thing."""

    is_thresholded: bool = False
    is_sampled: bool = False
    has_other_row: bool = False
    has_data_loss: bool = False


@dataclass(frozen=True)
class ReportDay:
    """One report of one day: (dimension values, metric values) per row, named, values as text.

    `row_count` is what the answer claims over all its pages.
    """

    rows: tuple[Row, ...]
    row_count: int
    quality: Quality
    time_zone: str | None
    currency: str | None


class GaClient(Protocol):
    """A backend. Raises SourceUnavailable, QuotaExhausted, ConfigError or ContractBroken."""

    def run_report(self, property_id: str, report: GaReport, day: date) -> ReportDay:
        """Return the report of that day, in the property's time zone."""
        ...


def parse(report: GaReport, day: date, answer: object) -> ReportDay:
    """Return the answer as rows by name; raises ContractBroken where its shape is not the agreed one.

    An empty day omits rows, rowCount and even the headers; it is told from a broken answer by
    `kind` and `metadata`.
    """
    if not isinstance(answer, Mapping) or not {"kind", "metadata"} & answer.keys():
        raise ContractBroken(f"GA4 {report.name}: the answer has neither kind nor metadata")
    try:
        metadata = dict(answer.get("metadata") or {})
        rows = tuple(_row(report, row) for row in _checked_rows(report, answer))
        row_count = int(answer.get("rowCount", len(rows)))
    except (KeyError, ValueError, TypeError, AttributeError):
        # Not chained: the cause's text holds a row's value.
        raise ContractBroken(f"GA4 {report.name}: a row does not match its headers") from None
    _require_day(report, day, rows)
    return ReportDay(rows, row_count, _quality(metadata, rows), *_zone_and_currency(metadata))


def _checked_rows(report: GaReport, answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = answer.get("rows") or ()
    for what, asked in (("dimension", report.dimensions), ("metric", report.metrics)):
        headers = answer.get(f"{what}Headers")
        if headers is None and not rows:
            continue
        names = tuple(str(header.get("name"))[:60] for header in headers or ())
        if names != asked:
            raise ContractBroken(
                f"GA4 {report.name}: {what}s are {', '.join(names) or 'missing'}, asked for {', '.join(asked)}"
            )
    return rows


def _row(report: GaReport, row: Mapping[str, Any]) -> Row:
    # An empty dimension value is left out by the API's JSON; a metric never is.
    dimensions = (str(cell.get("value", "")) for cell in row["dimensionValues"])
    metrics = [str(cell["value"]) for cell in row["metricValues"]]
    if not all(math.isfinite(float(value)) for value in metrics):
        raise ValueError(report.name)
    return (
        dict(zip(report.dimensions, dimensions, strict=True)),
        dict(zip(report.metrics, metrics, strict=True)),
    )


def _require_day(report: GaReport, day: date, rows: tuple[Row, ...]) -> None:
    if "date" not in report.dimensions:
        return
    if any(dimensions["date"] not in {f"{day:%Y%m%d}", OTHER} for dimensions, _ in rows):
        raise ContractBroken(f"GA4 {report.name}: asked for {day}, got rows of another day")


def _quality(metadata: Mapping[str, Any], rows: tuple[Row, ...]) -> Quality:
    return Quality(
        is_thresholded=bool(metadata.get("subjectToThresholding")),
        is_sampled=bool(metadata.get("samplingMetadatas")),
        has_other_row=any(OTHER in dimensions.values() for dimensions, _ in rows),
        has_data_loss=bool(metadata.get("dataLossFromOtherRow")),
    )


def _zone_and_currency(metadata: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return metadata.get("timeZone"), metadata.get("currencyCode")


def merge(pages: Sequence[ReportDay]) -> ReportDay:
    """Return one report of several pages; a quality flag on any page counts for all."""
    first = pages[0]
    flags = [page.quality for page in pages]
    return ReportDay(
        tuple(row for page in pages for row in page.rows),
        first.row_count,
        Quality(
            is_thresholded=any(flag.is_thresholded for flag in flags),
            is_sampled=any(flag.is_sampled for flag in flags),
            has_other_row=any(flag.has_other_row for flag in flags),
            has_data_loss=any(flag.has_data_loss for flag in flags),
        ),
        first.time_zone,
        first.currency,
    )
