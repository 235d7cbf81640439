"""Hold a folder of GA4 answers against our reader: `python -m tests.sources.ga4_shapes FOLDER`.

A file is an answer of runReport or batchRunReports, or an error as the API sends it. Each answer has
to become a page; each error has to say what to do next. Prints a line per answer; exit code 1 where
one is not understood.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click

from ocd.core.errors import ContractBroken, OcdError
from ocd.sources.ga4.answers import OTHER, Page, parse
from ocd.sources.ga4.refusals import refusal
from ocd.sources.ga4.reports import GaReport


def told(folder: Path) -> Iterator[tuple[str, Page | OcdError]]:
    """Yield a name and what became of it, for each answer in the folder."""
    for path in sorted(folder.rglob("*.json")):
        answer = json.loads(path.read_text(encoding="utf-8"))
        reports = answer.get("reports", [answer])
        for number, one in enumerate(reports, 1):
            yield (f"{path.stem} {number}" if len(reports) > 1 else path.stem), _read(one)


def _read(answer: dict[str, Any]) -> Page | OcdError:
    if "error" in answer:
        return refusal(answer["error"]["code"], answer["error"]["message"])
    try:
        return parse(_report(answer), _day(answer), _one_day(answer))
    except ContractBroken as error:
        return error


def _report(answer: dict[str, Any]) -> GaReport:
    names = [
        tuple(header["name"] for header in answer.get(f"{what}Headers", ()))
        for what in ("dimension", "metric")
    ]
    return GaReport("shape", *names)


def _day(answer: dict[str, Any]) -> date:
    """The day that the rows are of."""
    days = [value for value in _dates(answer) if value != OTHER]
    return date.fromisoformat(days[0]) if days else date(2026, 11, 23)


def _one_day(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out the rows of other days than the first: we ask for one day at a time."""
    dates = _dates(answer)
    wanted = {f"{_day(answer):%Y%m%d}", OTHER}
    rows = [
        row for row, value in zip(answer.get("rows", ()), dates, strict=False) if value in wanted
    ]
    return answer | {"rows": rows} if dates else answer


def _dates(answer: dict[str, Any]) -> list[str]:
    names = [header["name"] for header in answer.get("dimensionHeaders", ())]
    if "date" not in names:
        return []
    return [row["dimensionValues"][names.index("date")]["value"] for row in answer.get("rows", ())]


def main(folder: Path) -> int:
    """Print what became of each; 1 where an answer is not understood."""
    broken = 0
    for name, found in told(folder):
        is_answer = isinstance(found, Page)
        words = f"{len(found.rows)} of {found.row_count} rows" if is_answer else f"{type(found).__name__}: {found}"  # fmt: skip
        broken += isinstance(found, ContractBroken) and "answered" not in str(found)
        click.echo(f"{name:28} {words}")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
