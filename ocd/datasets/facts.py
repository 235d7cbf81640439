"""The shape of a dataset's facts: frozen, printable, without verbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Pii(StrEnum):
    """Class of personal data that a column may hold."""

    NONE = "none"
    ID = "id"  # identifies a conversation or person indirectly
    TEXT = "text"  # free text in which people write anything
    DIRECT = "direct"  # a name, an address, a phone number


@dataclass(frozen=True)
class Column:
    """One column: SQL type as PostgreSQL's `format_type` prints it, and what it means."""

    name: str
    type: str
    comment: str
    pii: Pii = Pii.NONE
    nullable: bool = True
    default: str | None = None  # SQL text, as migrations write it


@dataclass(frozen=True)
class RetentionRule:
    """Rows that match `where` expire `keep` after the instant in column `since`.

    `where` is an SQL condition over the table's own columns, without parameters, that is never
    NULL; None matches every row. `keep=None`: such rows never expire.
    """

    name: str
    where: str | None
    since: str
    keep: timedelta | None


@dataclass(frozen=True)
class Retention:
    """Ordered rules: the first whose `where` matches a row decides about it."""

    rules: tuple[RetentionRule, ...]


@dataclass(frozen=True)
class Dataset:
    """Facts about one table. `retention=None`: kept for ever."""

    name: str
    table: str  # schema-qualified
    description: str
    owner: str
    grain: str
    key: str  # column of the bigint primary key that batches walk along
    event_time: str
    columns: tuple[Column, ...]
    retention: Retention | None = None
    is_backed_up: bool = False

    @property
    def schema(self) -> str:
        """Schema part of `table`."""
        return self.table.split(".", 1)[0]

    @property
    def relation(self) -> str:
        """Table part of `table`."""
        return self.table.split(".", 1)[1]
