"""A rule: a condition that every row should meet, with what it means when one does not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from ocd.datasets.facts import Dataset


class Severity(StrEnum):
    """How much a finding matters; `block` is for gates."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    BLOCK = "block"


class Dimension(StrEnum):
    """Which side of quality a rule looks at."""

    COMPLETENESS = "completeness"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    VALIDITY = "validity"


@dataclass(frozen=True)
class Rule:
    """`condition` is SQL of ours over the table's columns that holds for good rows.

    Where it is NULL the row passes: completeness is a rule of its own. `:now` is the run's instant.
    """

    id: str
    dataset: Dataset
    dimension: Dimension
    severity: Severity
    condition: str
    text: str

    @property
    def version(self) -> str:
        """Fingerprint of what the rule says."""
        return hashlib.sha256(f"{self.id}|{self.condition}|{self.severity}".encode()).hexdigest()[
            :12
        ]
