"""Find the rows of some subjects: in tables by SQL, in copies by reading the COPY text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from psycopg import sql

from ocd.datasets.facts import Dataset
from ocd.datasets.subjects import Kind, Subject, Trace, id_in, traces

#: Whether an id of this kind is one of those that are looked for.
Known = Callable[[Kind, str], bool]

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
#: A number as the database prints it: the same subject is found in tables and in copies.
_BIGINT = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def condition(
    dataset: Dataset, subjects: Iterable[Subject]
) -> tuple[sql.Composed, dict[str, list[Any]]]:
    """Return a condition for the rows of these subjects, and its parameters: ids never stand in SQL.

    Where a column is null it is null: for a WHERE, not for a NOT. Columns stand bare, so that their indexes serve.
    """
    wanted = list(subjects)
    types = {one.name: one.type for one in dataset.columns}
    parts: list[sql.Composable] = []
    values: dict[str, list[Any]] = {}
    for number, trace in enumerate(traces(dataset)):
        kind = "text" if trace.key else types[trace.column]
        name = f"ids_{number}"
        values[name] = _as_stored(kind, trace, [one.id for one in wanted if one.kind is trace.kind])
        key = sql.SQL(" ->> {}").format(sql.Literal(trace.key)) if trace.key else sql.SQL("")
        parts.append(
            sql.SQL("{}{} = any({}::{}[])").format(
                sql.Identifier(trace.column), key, sql.Placeholder(name), sql.SQL(kind)
            )
        )
    return sql.SQL("({})").format(sql.SQL(" or ").join(parts)), values


def _as_stored(kind: str, trace: Trace, ids: list[str]) -> list[Any]:
    """Return the ids as a column of that type holds them."""
    if kind == "bigint":
        return [int(one) for one in ids if _BIGINT.fullmatch(one)]
    return [trace.prefix + one for one in ids] + ids if trace.prefix else ids


class Sieve:
    """Passes COPY text on without the rows that match, and counts them.

    `needles`: bytes of which one stands in every row that can match; a block without any is passed whole.
    """

    def __init__(
        self,
        dataset: Dataset,
        columns: Iterable[str],
        known: Known,
        needles: tuple[bytes, ...] = (),
    ) -> None:
        names = list(columns)
        self._traces = [
            (names.index(one.column), one) for one in traces(dataset) if one.column in names
        ]
        self._known = known
        self._needles = needles
        self.kept = 0
        self.removed = 0

    def __call__(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the rows that do not match, in blocks about as large as those given."""
        for rows in _whole_rows(blocks):
            if not self._may_match(rows):
                self.kept += rows.count(b"\n") + 1
                yield rows + b"\n"
                continue
            every = rows.split(b"\n")
            kept = [row for row in every if not self.matches(row)]
            self.kept += len(kept)
            self.removed += len(every) - len(kept)
            if kept:
                yield b"\n".join(kept) + b"\n"

    def matching(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the rows that match, without their line ends."""
        for rows in _whole_rows(blocks):
            if self._may_match(rows):
                yield from filter(self.matches, rows.split(b"\n"))

    def counting(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield everything as it came, and count what would have been taken out."""
        rest = b""
        for block in blocks:
            rows, newline, rest = (rest + block).rpartition(b"\n")
            if newline and self._may_match(rows):
                self.removed += sum(map(self.matches, rows.split(b"\n")))
            yield block

    def _may_match(self, rows: bytes) -> bool:
        return not self._needles or any(needle in rows for needle in self._needles)

    def matches(self, row: bytes) -> bool:
        """Whether a row, without its line end, names one of the subjects."""
        fields = row.split(b"\t")
        return any(self._names(fields[place], trace) for place, trace in self._traces)

    def _names(self, field: bytes, trace: Trace) -> bool:
        if trace.key is not None:
            return trace.key.encode() in field and self._names_inside(field, trace)
        value = value_of(field)
        return value is not None and self._known(trace.kind, id_in(trace, value))

    def _names_inside(self, field: bytes, trace: Trace) -> bool:
        payload = json.loads(value_of(field) or "null")
        if not isinstance(payload, Mapping):
            return False
        value = payload.get(trace.key)
        return isinstance(value, str | int) and self._known(trace.kind, str(value))


def _whole_rows(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole rows, as many as came, without the last line end."""
    rest = b""
    for block in blocks:
        rows, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            yield rows


def value_of(field: bytes) -> str | None:
    """Return the value of a field of COPY text; None for NULL."""
    if field == b"\\N":
        return None
    if b"\\" in field:
        field = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), field)
    return field.decode(errors="replace")


def known_among(subjects: Iterable[Subject]) -> Known:
    """Return the test for being one of these subjects."""
    wanted = {(one.kind, one.id) for one in subjects}
    return lambda kind, found: (kind, found) in wanted


def needles_of(subjects: Iterable[Subject]) -> tuple[bytes, ...]:
    """Return the ids as they stand in COPY text; empty where one may be written in several ways."""
    ids = {one.id for one in subjects}
    return tuple(one.encode() for one in ids) if all(map(_is_plain, ids)) else ()


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and not set(text) & set('\\"/')
