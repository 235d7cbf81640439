"""Evidence: what a run reports, as typed and versioned JSON of at most 16 KiB."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Protocol, runtime_checkable

#: The ledger's row keeps no more than this; larger evidence belongs into an artifact.
MAX_BYTES = 16_000


@runtime_checkable
class Report(Protocol):
    """What every job returns: a frozen dataclass with these three, and whatever fields tell more."""

    version: ClassVar[int]

    @property
    def rows(self) -> int:
        """How many rows the run wrote, checked or deleted."""
        ...

    @property
    def summary(self) -> str:
        """One line for people, without personal data."""
        ...


@dataclasses.dataclass(frozen=True)
class Settled:
    """A report that an earlier attempt of the run committed together with its last batch."""

    version: ClassVar[int] = 1
    rows: int
    evidence: dict[str, Any]

    @property
    def summary(self) -> str:
        """One line for people."""
        return str(self.evidence["summary"])


def to_evidence(report: Report) -> dict[str, Any]:
    """Return the report as JSON-ready evidence; raises ValueError when it is larger than MAX_BYTES."""
    if isinstance(report, Settled):
        return report.evidence
    body = {item.name: _plain(getattr(report, item.name)) for item in dataclasses.fields(report)}  # type: ignore[arg-type]
    evidence = {
        "type": type(report).__name__,
        "version": report.version,
        "summary": report.summary,
        **body,
    }
    size = len(json.dumps(evidence).encode())
    if size > MAX_BYTES:
        raise ValueError(
            f"{type(report).__name__}: evidence of {size} bytes; put the details into an artifact"
        )
    return evidence


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value.value if isinstance(value, Enum) else value
