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

    `where` is an SQL condition over the table's own columns (and whether a row elsewhere refers to
    them), without parameters, that is never NULL; None matches every row. `keep=None`: such rows
    do not expire as long as it holds.
    """

    name: str
    where: str | None
    since: str
    keep: timedelta | None


@dataclass(frozen=True)
class Retention:
    """Ordered rules: the first whose `where` matches a row decides about it."""

    rules: tuple[RetentionRule, ...]


class Verb(StrEnum):
    """What a role may do to rows."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Scope(StrEnum):
    """Which rows a right is about; `ocd.datasets.access` says each as a condition."""

    ALL = "every row"
    CONVERSATION = "own conversation"
    DECISIONS = "own decision scope"
    PROJECT = "own project"
    REQUEST = "own request"
    SHOP = "own shop"
    SIGNED = "every row, signed with the own name"
    UNDECIDED = "rows that nobody decided about"


@dataclass(frozen=True)
class Access:
    """`role` may do `verbs` to the rows in `scope`; what no entry grants, nobody may.

    `columns` narrows inserts and updates to these columns; empty: every column.
    """

    role: str
    verbs: tuple[Verb, ...]
    scope: Scope = Scope.ALL
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feed:
    """What fills a table: other datasets or outside systems, and how old its newest row may get.

    `fresh_within=None`: rows come when they come, so silence means nothing.
    """

    inputs: tuple[str, ...]
    fresh_within: timedelta | None = None


@dataclass(frozen=True)
class Dataset:
    """Facts about one table. `retention=None`: kept for ever; `access=()`: nobody but its owner."""

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
    access: tuple[Access, ...] = ()
    feed: Feed | None = None

    @property
    def schema(self) -> str:
        """Schema part of `table`."""
        return self.table.split(".", 1)[0]

    @property
    def relation(self) -> str:
        """Table part of `table`."""
        return self.table.split(".", 1)[1]
