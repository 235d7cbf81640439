"""Read indexes that may help off a plan. Pure: a plan in, definitions out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ocd.database.plans import Node, Plan

#: More columns seldom pay.
MAX_COLUMNS = 3
#: Nodes that hand the order of a sort above them through to the scan below.
_TRANSPARENT = frozenset({"Gather", "Gather Merge", "Limit", "Result", "Subquery Scan"})


@dataclass(frozen=True)
class Candidate:
    """An index on a table; each column as it stands in the definition, ` desc` included."""

    table: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"create index on {self.table} ({', '.join(self.columns)})"


def candidates(plan: Plan) -> list[Candidate]:
    """Return an index or several for each table of which rows are read and thrown away.

    Columns compared with one value come first, then those that sort, then one that is a range.
    """
    found: dict[Candidate, None] = {}
    for scan, sort in _scans(plan.root, ()):
        table = f"{scan['Schema']}.{scan['Relation Name']}"
        equal, ranged = _compared(scan)
        sorted_by = _sorted_by(scan, sort)
        for columns in (
            (*equal, *sorted_by),
            *((*equal, column) for column in ranged),
            *((column,) for column in equal),
        ):
            if columns:
                found[Candidate(table, _without_repeats(columns))] = None
    return list(found)


def _scans(node: Node, sort: tuple[str, ...]) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Yield each scan that filters, with the keys that its rows are sorted by right above it."""
    kind = node["Node Type"]
    if "Relation Name" in node and (kind == "Seq Scan" or "Filter" in node):
        yield node, sort
    if "Sort" in kind:
        sort = tuple(node["Sort Key"])
    elif kind not in _TRANSPARENT:
        sort = ()
    for below in node.get("Plans", ()):
        yield from _scans(below, sort)


def comparisons(node: Node) -> list[tuple[str, str, str]]:
    """Return (column, sign, what stands behind it) for each plain column that a node compares."""
    said = " ".join(str(node.get(key, "")) for key in ("Filter", "Index Cond", "Recheck Cond"))
    column = re.escape(node["Alias"]) + r'\.(\w+|"[^"]+")'
    # With a cast the column stands in brackets of its own; behind a word they are a function's.
    pattern = rf"(?:(?<!\w)\({column}\)::[\w ]+|(?<![\w.]){column}) (=|<=|>=|<|>|IS NULL)(?= |\))(?: (\$\d+\b))?"
    return [
        (cast or plain, sign, operand) for cast, plain, sign, operand in re.findall(pattern, said)
    ]


def _compared(scan: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns compared with one value, and those with a bound; none under an `or`."""
    if " OR " in scan.get("Filter", ""):
        return (), ()
    found = comparisons(scan)
    equal = tuple(column for column, sign, _ in found if sign in {"=", "IS NULL"})
    return equal, tuple(column for column, _, _ in found if column not in equal)


def _sorted_by(scan: Node, sort: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sort keys that are plain columns of the scanned table; none unless all are."""
    prefix = f"{scan['Alias']}."
    if not all(re.fullmatch(r'\w+\.(?:\w+|"[^"]+")(?: DESC)?', key) for key in sort):
        return ()
    if not all(key.startswith(prefix) for key in sort):
        return ()
    return tuple(key.removeprefix(prefix).replace(" DESC", " desc") for key in sort)


def _without_repeats(columns: tuple[str, ...]) -> tuple[str, ...]:
    named = {column.removesuffix(" desc"): column for column in reversed(columns)}
    return tuple(dict.fromkeys(named[column.removesuffix(" desc")] for column in columns))[
        :MAX_COLUMNS
    ]
