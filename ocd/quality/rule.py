"""A rule: what good data meets, and what it means when it does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from ocd.datasets.facts import Dataset


class Severity(StrEnum):
    """How much a finding matters, least first; `block` stops the jobs that depend on the table."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    BLOCK = "block"


class Dimension(StrEnum):
    """Which side of quality a rule looks at."""

    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    UNIQUENESS = "uniqueness"
    VALIDITY = "validity"
    VOLUME = "volume"


class Kind(StrEnum):
    """What a rule asks; `conditions` says how each is asked."""

    NOT_NULL = "not_null"
    FILLED = "filled"
    RANGE = "range"
    SET = "set"
    REGEX = "regex"
    LENGTH = "length"
    CONDITION = "condition"
    PYTHON = "python"
    REFERENCE = "reference"
    FRESHNESS = "freshness"
    VOLUME = "volume"
    DISTRIBUTION = "distribution"
    CROSS_TABLE = "cross_table"
    UNIQUE = "unique"
    SCHEMA = "schema"
    SQL = "sql"


#: Rules about the table as a whole: they fail once, and have no keys.
OF_TABLE = frozenset(
    {Kind.FRESHNESS, Kind.VOLUME, Kind.DISTRIBUTION, Kind.CROSS_TABLE, Kind.SCHEMA}
)
#: Rules that are not asked in the scan of their table.
APART = frozenset({Kind.UNIQUE, Kind.SCHEMA, Kind.SQL})

#: Share of rows that should be good over SLO_DAYS, per dimension, where a rule says nothing else.
TARGETS = {
    Dimension.COMPLETENESS: 0.99,
    Dimension.ACCURACY: 0.995,
    Dimension.CONSISTENCY: 1.0,
    Dimension.TIMELINESS: 0.99,
    Dimension.UNIQUENESS: 1.0,
    Dimension.VALIDITY: 0.995,
    Dimension.VOLUME: 0.99,
}
SLO_DAYS = 7

#: What to do about a finding, per kind, where a rule says nothing better; `{table}` is the dataset's name.
_MISSING = "Ask the writer for the value; a blank one cannot be told apart later."
_WRONG = "Look at the rows by their keys, mend the writer, then the rows; where the value is meant, change the rule."
_SPELT = "Mend the writer; `ocd quality cleanse plan {table}` mends spellings where a fix is declared; a new word that is meant goes into the rule."
_WRITER = "See whether the writer runs: `ocd status`, `ocd quality completeness {table}`."
_MOVED = "`ocd quality profile {table}` tells what moved since the last profile."
REMEDIES = {
    Kind.NOT_NULL: _MISSING,
    Kind.FILLED: _MISSING,
    Kind.RANGE: _WRONG,
    Kind.SET: _SPELT,
    Kind.REGEX: _SPELT,
    Kind.LENGTH: _WRONG,
    Kind.CONDITION: _WRONG,
    Kind.PYTHON: _WRONG,
    Kind.REFERENCE: "The other row was deleted or has not come yet: see whether its source runs, `ocd source status`.",
    Kind.FRESHNESS: _WRITER,
    Kind.VOLUME: _WRITER,
    Kind.DISTRIBUTION: _MOVED,
    Kind.CROSS_TABLE: "Find which side is right; `ocd quality consistency history` tells since when tables disagree.",
    Kind.UNIQUE: "Find what writes a row twice; keep the row that is meant and delete the others.",
    Kind.SCHEMA: "`ocd db status` and `ocd db audit` tell which migration is missing.",
    Kind.SQL: _WRONG,
}


@dataclass(frozen=True)
class Source:
    """A table that rules speak about; `columns` maps names to (type, may be null), where they are said."""

    name: str
    table: str  # schema-qualified
    key: str
    event_time: str | None
    owner: str
    columns: Mapping[str, tuple[str, bool]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, dataset: Dataset) -> Source:
        """Return the table of a dataset."""
        columns = {one.name: (one.type, one.nullable) for one in dataset.columns}
        return cls(
            dataset.name,
            dataset.table,
            dataset.key,
            dataset.event_time,
            dataset.owner,
            columns,
        )

    @property
    def schema(self) -> str:
        """Schema part of `table`."""
        return self.table.split(".", 1)[0]

    @property
    def relation(self) -> str:
        """Table part of `table`."""
        return self.table.split(".", 1)[1]


@dataclass(frozen=True)
class Tolerance:
    """How much may fail before a rule does: so many rows, or such a share of them, whichever is more."""

    rows: int = 0
    share: float = 0.0

    def allows(self, failed: int, rows: int) -> bool:
        """Whether so many failing rows of so many are still fine."""
        return failed <= max(self.rows, self.share * rows)


@dataclass(frozen=True)
class Slo:
    """Share of good rows that is promised over so many days."""

    target: float
    days: int = SLO_DAYS


@dataclass(frozen=True)
class Rule:
    """A question to one table. Where the answer is unknown (NULL), the row passes.

    `params` is what the kind needs; `filter` an SQL condition: only rows that meet it are asked.
    SQL texts are constants of ours; `:now` in them is the run's instant.
    """

    id: str
    source: Source
    kind: Kind
    dimension: Dimension
    severity: Severity
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    filter: str | None = None
    tolerance: Tolerance = Tolerance()
    slo: Slo | None = None
    owner: str = ""
    remedy: str = ""

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def is_of_table(self) -> bool:
        """Whether it is about the table as a whole."""
        return self.kind in OF_TABLE

    @property
    def promised(self) -> Slo:
        """The rule's own SLO, else that of its dimension."""
        return self.slo or Slo(TARGETS[self.dimension])

    @property
    def advice(self) -> str:
        """What to do about a finding: the rule's own remedy, else that of its kind."""
        return self.remedy or REMEDIES[self.kind].format(table=self.source.name)

    @cached_property
    def version(self) -> str:
        """Fingerprint of what the rule says: twelve hex digits, new when its meaning changes."""
        said: list[Any] = [self.id, self.source.table, self.kind, self.columns]
        said += [
            self.severity,
            self.dimension,
            self.filter,
            self.tolerance.rows,
            self.tolerance.share,
            dict(self.params),
        ]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
