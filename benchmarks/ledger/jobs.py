"""The same nothing twice: a job with its row in the ledger, and a plain Celery task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tasks.app import app
from tasks.job import Door, job


@dataclass(frozen=True)
class NothingReport:
    """What doing nothing comes to."""

    version: ClassVar[int] = 1
    rows: int = 0
    summary: str = "nothing was done"


@job("benchmark.nothing", queue="short", effect="read_only", subject=("number",))
def nothing(_door: Door, number: int = 0) -> NothingReport:
    """Do nothing, with a row in the ledger."""
    return NothingReport(rows=number * 0)


def _bare(_task: Any, number: int, label: str = "") -> str:
    return f"run {number} done: {label}"


bare: Any = app.task(name="benchmark.bare", bind=True, max_retries=2, ignore_result=True)(_bare)
