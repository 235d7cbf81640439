"""How PostgreSQL would carry a statement out: the nodes of its plan, the tables it reads whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """A plan as `explain (format json)` gives it."""

    root: Node

    @property
    def cost(self) -> float:
        """What the planner thinks that all of it costs, in its own unit."""
        return float(self.root["Total Cost"])

    def nodes(self) -> Iterator[Node]:
        """Yield every node, the outermost first."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop(0)
            yield node
            waiting = [*node.get("Plans", ()), *waiting]

    def scanned(self) -> frozenset[str]:
        """Return the tables that are read from end to end."""
        return frozenset(
            node["Relation Name"] for node in self.nodes() if node["Node Type"] == "Seq Scan"
        )

    def lines(self) -> list[str]:
        """Return the plan for people: what is done with what, and under which conditions."""
        return list(_lines(self.root, 0))

    def indexes(self) -> frozenset[str]:
        """Return the indexes that are used."""
        return frozenset(node["Index Name"] for node in self.nodes() if "Index Name" in node)


def explain(
    conn: Connection, statement: str, parameters: Mapping[str, Any], *, options: str = ""
) -> Plan:
    """Return the plan; `options` such as `analyze, ` also carry the statement out."""
    found = conn.execute(text(f"explain ({options}format json) {statement}"), parameters)
    return Plan(found.scalar_one()[0]["Plan"])


#: What a line says besides the node's kind and table.
_SAID = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "Sort Key",
)


def _lines(node: Node, depth: int) -> Iterator[str]:
    where = f" on {node['Relation Name']}" if "Relation Name" in node else ""
    using = f" using {node['Index Name']}" if "Index Name" in node else ""
    said = "".join(
        f"; {key.lower()}: {', '.join(node[key]) if isinstance(node[key], list) else node[key]}"
        for key in _SAID
        if key in node
    )
    yield f"{'  ' * depth}{node['Node Type']}{using}{where}, {node['Plan Rows']:,} rows{said}"
    for below in node.get("Plans", ()):
        yield from _lines(below, depth + 1)
