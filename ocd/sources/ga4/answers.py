"""The API's JSON becomes a page of rows; whatever has another shape is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ocd.core.errors import ContractBroken
from ocd.sources.ga4.reports import GaReport

#: Google's row for values it did not keep apart; it appears in every dimension, even in dates.
OTHER = "(other)"
Row = tuple[str, ...]


@dataclass(frozen=True)
class Quality:
    """What Google says about the numbers; each is a different thing."""

    is_thresholded: bool = False
    is_sampled: bool = False
    has_other_row: bool = False
    has_data_loss: bool = False

    def __or__(self, other: Quality) -> Quality:
        """Return both together: a flag on any page counts for all."""
        either = (getattr(self, one.name) or getattr(other, one.name) for one in fields(Quality))
        return Quality(*either)


@dataclass(frozen=True)
class Page:
    """Rows as dimension values and then metric values, in the report's order, all text.

    `row_count` is what the answer claims over all pages; `totals` are this page's, per metric;
    `quotas` is the answer's own word about the property's quotas.
    """

    rows: Sequence[Row]
    row_count: int
    totals: tuple[Decimal, ...]
    quality: Quality
    time_zone: str | None
    currency: str | None
    quotas: Mapping[str, Any]

    def without_first(self, report: GaReport) -> Page:
        """Return the page without its first row."""
        return Page(
            rows := self.rows[1:],
            self.row_count,
            _totals(report, rows),
            self.quality,
            self.time_zone,
            self.currency,
            self.quotas,
        )


def parse(report: GaReport, day: date, answer: object) -> Page:
    """Return the answer as a page; raises ContractBroken where its shape is not the agreed one.

    An empty day omits rows, rowCount and even the headers; it is told from a broken answer by
    `kind` and `metadata`.
    """
    if not isinstance(answer, Mapping) or not {"kind", "metadata"} & answer.keys():
        raise ContractBroken(f"GA4 {report.name}: the answer has neither kind nor metadata")
    try:
        metadata = dict(answer.get("metadata") or {})
        rows = _rows(_checked_rows(report, answer))
        row_count = int(answer.get("rowCount") or len(rows))
        _require_width(report, rows)
        totals = _totals(report, rows)
        quotas = dict(answer.get("propertyQuota") or {})
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError):
        # Not chained: the cause's text holds a row's value.
        raise ContractBroken(f"GA4 {report.name}: a row does not match its headers") from None
    _require_day(report, day, rows)
    return Page(
        rows,
        row_count,
        totals,
        _quality(report, metadata, rows),
        _time_zone(report, metadata),
        metadata.get("currencyCode"),
        quotas,
    )


def _checked_rows(report: GaReport, answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = answer.get("rows") or ()
    for what, asked in (("dimension", report.dimensions), ("metric", report.metrics)):
        headers = answer.get(f"{what}Headers")
        if not headers and not rows:
            continue
        names = tuple(str(header.get("name"))[:60] for header in headers or ())
        if names != asked:
            raise ContractBroken(
                f"GA4 {report.name}: {what}s are {', '.join(names) or 'missing'}, asked for {', '.join(asked)}"
            )
    return rows


def _rows(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    # An empty dimension value is left out by the API's JSON; a metric never is.
    return [
        (
            *(cell.get("value", "") for cell in row["dimensionValues"]),
            *(cell["value"] for cell in row["metricValues"]),
        )
        for row in rows
    ]


def _require_width(report: GaReport, rows: Sequence[Row]) -> None:
    width = len(report.dimensions) + len(report.metrics)
    if not {len(row) for row in rows} <= {width}:
        raise ValueError(report.name)
    if not all(set(map(type, row)) <= {str} for row in rows):
        raise TypeError(report.name)


def _totals(report: GaReport, rows: Sequence[Row]) -> tuple[Decimal, ...]:
    """Return the sum of each metric; raises where a value is no finite number."""
    first = len(report.dimensions)
    places = range(first, first + len(report.metrics))
    totals = tuple(sum((Decimal(row[place]) for row in rows), Decimal()) for place in places)
    if not all(total.is_finite() for total in totals):
        raise InvalidOperation
    return totals


def _require_day(report: GaReport, day: date, rows: Sequence[Row]) -> None:
    if "date" not in report.dimensions:
        return
    place = report.dimensions.index("date")
    if not {row[place] for row in rows} <= {f"{day:%Y%m%d}", OTHER}:
        raise ContractBroken(f"GA4 {report.name}: asked for {day}, got rows of another day")


def _time_zone(report: GaReport, metadata: Mapping[str, Any]) -> str | None:
    name = metadata.get("timeZone")
    if name is None:
        return None
    try:
        return ZoneInfo(str(name)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ContractBroken(f"GA4 {report.name}: {str(name)[:60]!r} is no time zone") from None


def _quality(report: GaReport, metadata: Mapping[str, Any], rows: Sequence[Row]) -> Quality:
    width = len(report.dimensions)
    return Quality(
        is_thresholded=bool(metadata.get("subjectToThresholding")),
        is_sampled=bool(metadata.get("samplingMetadatas")),
        has_other_row=any(OTHER in row[:width] for row in rows),
        has_data_loss=bool(metadata.get("dataLossFromOtherRow")),
    )
