"""A rule: a condition that data should meet, with what it means when it does not."""

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
    VOLUME = "volume"


class Grain(StrEnum):
    """What a condition speaks about: each row, or the table as a whole."""

    ROW = "row"
    TABLE = "table"


@dataclass(frozen=True)
class Rule:
    """`condition` is a constant SQL text of ours that is true for good data.

    Over the table's columns for rows, over aggregates of them for the table. Where it is NULL the
    data passes: that something is missing is a rule of its own. `:now` is the run's instant.
    """

    id: str
    dataset: Dataset
    dimension: Dimension
    severity: Severity
    condition: str
    description: str
    grain: Grain = Grain.ROW

    @property
    def version(self) -> str:
        """Fingerprint of what the rule says: twelve hex digits, new when its meaning changes."""
        said = f"{self.id}|{self.dataset.table}|{self.grain}|{self.severity}|{self.condition}"
        return hashlib.sha256(said.encode()).hexdigest()[:12]
