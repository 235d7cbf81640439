"""Judge policies by their text: read per row, always true, several that add up. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_VERBS = ("select", "insert", "update", "delete")
_CALL = re.compile(r"\b(?:\w+\.)?\w+\(")
_SUBSELECT = re.compile(r"\(\s*select\b", re.IGNORECASE)
#: Functions of PostgreSQL's own that cost nothing per row and read nothing.
_CHEAP = frozenset({"coalesce(", "lower(", "upper(", "btrim(", "any(", "all(", "starts_with("})
#: Roles that stand for people whom nobody chose.
_OPEN = frozenset({"public", "anon", "authenticated"})


@dataclass(frozen=True)
class LivePolicy:
    """A policy as the catalog has it."""

    name: str
    on_table: str
    roles: Sequence[str]
    verb: str
    is_permissive: bool
    using: str
    checked: str


def calls_per_row(policies: Iterable[LivePolicy]) -> Iterator[tuple[str, str]]:
    """Yield policies that call a function outside a sub-select: it runs for every row."""
    for one in policies:
        bare = _without_subselects(f"{one.using} {one.checked}")
        called = {found.lower() for found in _CALL.findall(bare)} - _CHEAP
        if called:
            names = ", ".join(sorted(name.rstrip("(") for name in called))
            yield one.on_table, f"policy {one.name} calls {names} for every row"


def always_true(policies: Iterable[LivePolicy]) -> Iterator[tuple[str, str]]:
    """Yield permissive policies that let everything be written, or read by whom nobody chose."""
    for one in policies:
        if not one.is_permissive:
            continue
        checked = one.checked or one.using
        writes_all = one.verb != "select" and _is_true(one.using) and _is_true(checked)
        reads_all = one.verb in {"select", "all"} and _is_true(one.using) and _OPEN & set(one.roles)
        if writes_all or reads_all:
            yield (
                one.on_table,
                f"policy {one.name} lets {', '.join(one.roles)} {one.verb} every row",
            )


def adding_up(policies: Iterable[LivePolicy]) -> Iterator[tuple[str, str]]:
    """Yield tables where one role meets several permissive policies for the same verb."""
    found: Counter[tuple[str, str, str]] = Counter()
    for one in policies:
        if one.is_permissive:
            verbs = _VERBS if one.verb == "all" else (one.verb,)
            found.update((one.on_table, role, verb) for role in one.roles for verb in verbs)
    for (table, role, verb), count in sorted(found.items()):
        # A policy for PUBLIC applies to every role as well.
        total = count + (found[table, "public", verb] if role != "public" else 0)
        if total > 1:
            yield table, f"{total} policies let {role} {verb}; they add up"


def _is_true(condition: str) -> bool:
    return condition.strip().strip("()").lower() in {"", "true"}


def _without_subselects(text: str) -> str:
    """Return the text with every `(select …)` cut out, whatever stands inside."""
    found = _SUBSELECT.search(text)
    if found is None:
        return text
    depth = 0
    for place in range(found.start(), len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return text[: found.start()] + _without_subselects(text[place + 1 :])
    return text[: found.start()]
