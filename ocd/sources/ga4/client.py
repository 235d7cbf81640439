"""What every GA4 backend answers, and how the API's JSON becomes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from ocd.core.errors import ContractBroken
from ocd.sources.ga4.reports import GaReport


@dataclass(frozen=True)
class Quality:
    """What Google says about the numbers; each is a different thing."""

    is_thresholded: bool = False
    is_sampled: bool = False
    has_other_row: bool = False
    has_data_loss: bool = False


@dataclass(frozen=True)
class ReportDay:
    """One report of one day: (dimension values, metric values) per row, named, values as text."""

    rows: tuple[tuple[dict[str, str], dict[str, str]], ...]
    row_count: int
    quality: Quality
    time_zone: str | None
    currency: str | None


class GaClient(Protocol):
    """A backend. Raises SourceUnavailable, QuotaExhausted, ConfigError or ContractBroken."""

    def run_report(self, property_id: str, report: GaReport, day: date) -> ReportDay:
        """Return the report of that day, in the property's time zone."""
        ...


def parse(report: GaReport, answer: Mapping[str, Any]) -> ReportDay:
    """Return the answer as rows by name; raises ContractBroken where its shape is not the agreed one.

    An empty day omits rows, rowCount and even the headers; it is told from a broken answer by
    `kind` and `metadata`.
    """
    if "kind" not in answer and "metadata" not in answer:
        raise ContractBroken(f"GA4 {report.name}: the answer has neither kind nor metadata")
    rows = answer.get("rows") or []
    if rows:
        _require(report, "dimension", report.dimensions, answer.get("dimensionHeaders"))
        _require(report, "metric", report.metrics, answer.get("metricHeaders"))
    metadata = answer.get("metadata") or {}
    try:
        parsed = tuple(
            (
                dict(
                    zip(
                        report.dimensions,
                        (cell.get("value", "") for cell in row["dimensionValues"]),
                        strict=True,
                    )
                ),
                dict(
                    zip(
                        report.metrics, (cell["value"] for cell in row["metricValues"]), strict=True
                    )
                ),
            )
            for row in rows
        )
        for _, metrics in parsed:
            [float(value) for value in metrics.values()]
        row_count = int(answer.get("rowCount", len(rows)))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ContractBroken(f"GA4 {report.name}: a row does not match its headers") from error
    quality = Quality(
        is_thresholded=bool(metadata.get("subjectToThresholding")),
        is_sampled=bool(metadata.get("samplingMetadatas")),
        has_other_row=any("(other)" in dimensions.values() for dimensions, _ in parsed),
        has_data_loss=bool(metadata.get("dataLossFromOtherRow")),
    )
    return ReportDay(
        parsed, row_count, quality, metadata.get("timeZone"), metadata.get("currencyCode")
    )


def _require(report: GaReport, what: str, asked: tuple[str, ...], headers: Any) -> None:
    names = tuple(header.get("name") for header in headers or [])
    if names != asked:
        raise ContractBroken(
            f"GA4 {report.name}: {what}s are {', '.join(map(str, names)) or 'missing'}, asked for {', '.join(asked)}"
        )


def merge(pages: list[ReportDay]) -> ReportDay:
    """Return one report of several pages; a quality flag on any page counts for all."""
    first = pages[0]
    return ReportDay(
        tuple(row for page in pages for row in page.rows),
        first.row_count,
        Quality(
            any(page.quality.is_thresholded for page in pages),
            any(page.quality.is_sampled for page in pages),
            any(page.quality.has_other_row for page in pages),
            any(page.quality.has_data_loss for page in pages),
        ),
        first.time_zone,
        first.currency,
    )
