"""Find the rows in which a table and its copy differ, by hashes of ever smaller ranges of the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.datasets.facts import Dataset

#: A range that differs is cut into so many: one row among a million is found in five steps.
FANOUT = 16
#: Ranges of at most so many rows are compared row by row.
LEAF_ROWS = 64
#: Ranges whose hashes are asked for at once.
AT_ONCE = 256
#: More keys than this are counted no further: the tables are simply different.
MOST_KEYS = 10_000

_HASHES = sql.SQL("""
    select piece.n, count(t.{key}), coalesce(sum(hash_record_extended(row({columns}), 0)::numeric) filter (where t.{key} is not null), 0)
    from unnest(%(lows)s::bigint[], %(highs)s::bigint[]) with ordinality piece(low, high, n)
    left join {table} t on t.{key} between piece.low and piece.high
    group by piece.n order by piece.n
""")
_ROWS = sql.SQL("""
    select t.{key}, hash_record_extended(row({columns}), 0) from {table} t
    where t.{key} between %(low)s and %(high)s
""")

Range = tuple[int, int]


@dataclass(frozen=True)
class Side:
    """A table to compare, read through `conn` in one snapshot that the caller began."""

    conn: Connection
    table: str  # schema-qualified
    key: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, conn: Connection, dataset: Dataset, *, table: str | None = None) -> Side:
        """Return a dataset's own table, or another one that holds a copy of it."""
        return cls(
            conn,
            table or dataset.table,
            dataset.key,
            tuple(one.name for one in dataset.columns),
        )


@dataclass(frozen=True)
class Differences:
    """Keys only in the table, only in the copy, and in both with other content; and where they lie.

    `hashes` counts the ranges that were hashed, on each side. `is_all`: there are no more than these.
    """

    missing: tuple[int, ...]
    added: tuple[int, ...]
    changed: tuple[int, ...]
    ranges: tuple[Range, ...]
    rows: int
    hashes: int
    is_all: bool

    @property
    def count(self) -> int:
        """How many rows differ, as far as they were counted."""
        return len(self.missing) + len(self.added) + len(self.changed)


def compare(table: Side, copy: Side) -> Differences:
    """Return the rows that differ: `missing` are in the table only, `added` in the copy only.

    Hashes one range while the two are equal, and about FANOUT times log(rows) more for each place
    that differs. Raises ConfigError where the two cannot be compared by hash.
    """
    _require_comparable(table, copy)
    finder = _Finder(table, copy)
    for one in finder.leaves(_ends(table, copy)):
        finder.compare_rows(one)
        if finder.count > MOST_KEYS:
            break
    return finder.found()


class _Finder:
    """The search through the ranges, with what it found so far."""

    def __init__(self, table: Side, copy: Side) -> None:
        self._sides = (table, copy)
        self._missing: set[int] = set()
        self._added: set[int] = set()
        self._changed: set[int] = set()
        self._ranges: list[Range] = []
        self._rows = self._hashes = 0

    @property
    def count(self) -> int:
        return len(self._missing) + len(self._added) + len(self._changed)

    def leaves(self, whole: Range | None) -> Iterator[Range]:
        """Yield the smallest ranges that differ, lowest first; a stack, so that little is held."""
        waiting = [whole] if whole else []
        while waiting:
            pieces = [waiting.pop() for _ in range(min(AT_ONCE, len(waiting)))]
            differing = []
            for piece, left, right in zip(pieces, *self._hash(pieces), strict=True):
                if left == right:
                    continue
                if max(left[0], right[0]) <= LEAF_ROWS or piece[0] == piece[1]:
                    yield piece
                else:
                    differing.append(piece)
            waiting += [part for piece in reversed(differing) for part in reversed(_cut(piece))]

    def compare_rows(self, piece: Range) -> None:
        """Compare a small range row by row and note what differs."""
        left, right = (dict(_rows(side, piece)) for side in self._sides)
        missing, added = left.keys() - right.keys(), right.keys() - left.keys()
        changed = {key for key in left.keys() & right.keys() if left[key] != right[key]}
        self._missing |= missing
        self._added |= added
        self._changed |= changed
        if differing := missing | added | changed:
            self._ranges.append((min(differing), max(differing)))

    def found(self) -> Differences:
        """Return what was found, in order of the key."""
        return Differences(
            missing=tuple(sorted(self._missing)),
            added=tuple(sorted(self._added)),
            changed=tuple(sorted(self._changed)),
            ranges=tuple(_merged(sorted(self._ranges))),
            rows=self._rows,
            hashes=self._hashes,
            is_all=self.count <= MOST_KEYS,
        )

    def _hash(self, pieces: list[Range]) -> tuple[list[Any], list[Any]]:
        """Return rows and hash of each range on each side."""
        left, right = (_hashes(side, pieces) for side in self._sides)
        if not self._hashes:
            self._rows = max(left[0][0], right[0][0])
        self._hashes += len(pieces)
        return left, right


def _cut(piece: Range) -> list[Range]:
    """Return the range in at most FANOUT parts of equal width."""
    low, high = piece
    width = max(1, -(-(high - low + 1) // FANOUT))
    return [(start, min(start + width - 1, high)) for start in range(low, high + 1, width)]


def _merged(ranges: list[Range]) -> Iterator[Range]:
    """Yield the ranges, those without a key between them as one."""
    for number, (low, high) in enumerate(ranges):
        if number == 0:
            start, end = low, high
        elif low <= end + 1:
            end = max(end, high)
        else:
            yield start, end
            start, end = low, high
    if ranges:
        yield start, end


def _hashes(side: Side, pieces: list[Range]) -> list[tuple[int, int]]:
    lows, highs = [low for low, _ in pieces], [high for _, high in pieces]
    rows = _cursor(side).execute(_filled(_HASHES, side), {"lows": lows, "highs": highs})
    return [(row[1], row[2]) for row in rows]


def _rows(side: Side, piece: Range) -> list[tuple[int, int]]:
    return list(
        _cursor(side).execute(_filled(_ROWS, side), {"low": piece[0], "high": piece[1]}).fetchall()
    )


def _ends(*sides: Side) -> Range | None:
    """Return the least and greatest key of both; None where both are empty."""
    query = sql.SQL("select min(t.{key}), max(t.{key}) from {table} t")
    ends = [_cursor(side).execute(_filled(query, side)).fetchone() for side in sides]
    known = [one for one in ends if one is not None and one[0] is not None]
    return (min(one[0] for one in known), max(one[1] for one in known)) if known else None


def _filled(query: sql.SQL, side: Side) -> sql.Composed:
    schema, name = side.table.split(".", 1)
    return query.format(
        table=sql.Identifier(schema, name),
        key=sql.Identifier(side.key),
        columns=sql.SQL(", ").join(sql.Identifier("t", one) for one in side.columns),
    )


def _cursor(side: Side) -> Any:
    """Return the driver's cursor inside the side's transaction."""
    driver: Any = side.conn.connection.driver_connection
    return driver.cursor()


def _require_comparable(*sides: Side) -> None:
    """Raise ConfigError unless both have the columns, of the same types, on the same major version."""
    versions = {
        side.conn.execute(
            text("select current_setting('server_version_num')::int / 10000")
        ).scalar()
        for side in sides
    }
    if len(versions) > 1:
        raise ConfigError(
            "the two servers differ in major version, so their hashes do; restore the copy on one of the same"
        )
    left, right = (_types(side) for side in sides)
    if left != right:
        strange = sorted({name for name, _ in left ^ right})
        raise ConfigError(
            f"{sides[0].table} and {sides[1].table} differ in columns: {', '.join(strange)}"
        )


def _types(side: Side) -> set[tuple[str, str]]:
    rows = side.conn.execute(
        text("""
            select attname, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped and attname = any(:names)
        """),
        {"table": side.table, "names": [side.key, *side.columns]},
    )
    found = {(row[0], row[1]) for row in rows}
    if not found:
        raise ConfigError(f"there is no table {side.table} in that database")
    return found
