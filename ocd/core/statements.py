"""SQL texts without their values, and a note of every statement of ours that took long."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from sqlalchemy import Engine, event

log = logging.getLogger(__name__)

#: A statement that takes longer is noted with the run that made it.
SLOW_S = 0.2
#: The event under which it is noted.
EVENT = "slow_statement"
#: A longer text is cut; it is still told apart, but has no plan any more.
MAX_CHARS = 8000

# What is not closed is a value up to the end: logs cut long statements.
_TOKEN = re.compile(
    r"""
    (?P<gone> --[^\n]* | /\*(?:(?!/\*).)*?\*/ | /\*.* | \s+ )
  | (?P<value> [eE]'(?:[^'\\]|''|\\.)*(?:'|\\?$) | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)
      | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|$)
      | \$\d+ | %\(\w+\)s | %s | (?:\d[\w.]*|\.\d+)(?:(?<=[eE])[+-]\d+)? )
  | (?P<name> "(?:[^"]|"")*(?:"|$) )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<sign> %% | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_VALUE = "\0"
_TYPES = frozenset(
    {"bigint", "date", "int", "integer", "interval", "json", "jsonb", "numeric", "text", "time"}
    | {"timestamp", "timestamptz", "uuid"}
)
#: After these a minus is a sign, not a difference.
_BEFORE_SIGN = re.compile(
    r"(?:^|[-+*/<>=(,\[]|\b(?:and|between|by|limit|or|select|then|when|else))$"
)
#: What stands at the place of a column's number, not of a value.
_ORDINALS = re.compile(r"\b(?:order|group) by (?:\d+(?: asc| desc)?\s*,\s*)*$")
_LISTS = (
    (re.compile(r"(in \(|array\[)\0(?:, \0)+"), r"\1\0"),
    (re.compile(r"(values \(\0(?:, \0)*\))(?:, \(\0(?:, \0)*\))+"), r"\1"),
)


def normalised(statement: str) -> str:
    """Return the statement with every value and parameter as `$1`, `$2` …, in one spelling.

    Comments are left out, lists of values shortened to one, so that what differs in values only is
    the same text; it can be prepared, unless it was cut.
    """
    parts: list[str] = []
    for found in _TOKEN.finditer(statement):
        if found.lastgroup == "gone":
            if parts and parts[-1] != " ":
                parts.append(" ")
        elif found.lastgroup in {"value", "tag"}:
            _add_value(parts, found.group())
        elif found.lastgroup == "name":
            parts.append(found.group())
        else:
            parts.append(found.group().lower().replace("%%", "%"))
    return _numbered(_spaced("".join(parts)))[:MAX_CHARS]


def _add_value(parts: list[str], value: str) -> None:
    """Put a value: a sign before it is part of it, a type before it becomes a cast behind it."""
    if value.isdigit() and _ORDINALS.search("".join(parts[-40:])):
        parts.append(value)
        return
    if parts and parts[-1] == "-" and _BEFORE_SIGN.search("".join(parts[:-1][-8:]).rstrip()):
        parts.pop()
    kind = next((part for part in reversed(parts) if part != " "), "")
    if kind in _TYPES and parts[-1] in {" ", kind}:
        while parts.pop() != kind:
            pass
        parts.append(f"{_VALUE}::{kind}")
    else:
        parts.append(_VALUE)


def _spaced(text: str) -> str:
    text = re.sub(r"\s*,\s*", ", ", text)
    text = re.sub(r"([(\[])\s+", r"\1", re.sub(r"\s+([)\];])", r"\1", text))
    text = re.sub(r"\s*(<=|>=|<>|!=|(?<![<>!=:~])=(?!>))\s*", r" \1 ", text)
    for many, one in _LISTS:
        text = many.sub(one, text)
    return text.strip(" ;")


def _numbered(text: str) -> str:
    first, *rest = text.split(_VALUE)
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))


def watch(engine: Engine) -> None:
    """Note each statement of this engine that takes longer than SLOW_S: its text without values."""
    event.listen(engine, "before_cursor_execute", _begin)
    event.listen(engine, "after_cursor_execute", _end)


def _begin(
    conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    context.begun_at = time.monotonic()


def _end(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    took_s = time.monotonic() - context.begun_at
    if took_s >= SLOW_S:
        facts = {"statement": normalised(statement), "ms": round(1000 * took_s, 1)}
        log.warning(EVENT, extra=facts)
