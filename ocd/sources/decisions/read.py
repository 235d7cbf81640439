"""Read decisions and telemetry out of JSON text: lines, an array, or objects glued together. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ocd.core.errors import ContractBroken

_SCOPES = ("ops", "cx", "analytics", "build")


class Shape(StrEnum):
    """What a record is: how a decision reached the outside, the decision itself, or a sign of life."""

    SYNC = "decision sync"
    DECISION = "decision"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True)
class Record:
    """One object of a file as the columns of its table."""

    shape: Shape
    row: Mapping[str, Any]


def records(text: str, source: str) -> Iterator[Record]:
    """Yield each object of the text, whole or not at all.

    Raises ContractBroken naming `source`, the line and the key, never a value.
    """
    decoder = json.JSONDecoder()
    place = 0
    while (place := _next(text, place)) < len(text):
        where = f"{source}, line {text.count(chr(10), 0, place) + 1}"
        try:
            found, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise ContractBroken(f"{where}: no JSON") from error
        for one in found if isinstance(found, list) else [found]:
            yield _record(one, where)


def _next(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _record(found: Any, where: str) -> Record:
    if not isinstance(found, dict):
        raise ContractBroken(f"{where}: expected an object")
    rest = dict(found)
    if "decisionId" in found:
        return Record(Shape.SYNC, _sync(rest, where))
    if {"who", "what"} <= set(found):
        return Record(Shape.DECISION, _decision(rest, where))
    if {"task", "timestamp"} <= set(found):
        return Record(Shape.HEARTBEAT, _heartbeat(rest, where))
    raise ContractBroken(f"{where}: neither a decision, a decision sync nor a heartbeat")


def _sync(rest: dict[str, Any], where: str) -> dict[str, Any]:
    return {
        "decision_id": _whole(rest, "decisionId", where),
        "status": _text(rest, "status", where),
        "duration_ms": _number(rest, "durationMs", where),
        "error_code": rest.pop("errorCode", None),
        "attempt": _whole(rest, "attempt", where, default=1),
        "created_at": _instant(rest, "timestamp", where),
        "scope": _scope(rest, where),
        "payload": rest,
    }


def _decision(rest: dict[str, Any], where: str) -> dict[str, Any]:
    return {
        "source_id": _text(rest, "id", where),
        "scope": _scope(rest, where),
        "actor": _text(rest, "who", where),
        "action": _text(rest, "what", where),
        "rationale": rest.pop("why", None),
        "evidence_url": rest.pop("evidenceUrl", None),
        "created_at": _instant(rest, "createdAt", where),
        "payload": rest,
    }


def _heartbeat(rest: dict[str, Any], where: str) -> dict[str, Any]:
    at, task = _instant(rest, "timestamp", where), _text(rest, "task", where)
    return {
        "request_id": f"heartbeat:{task}:{at}",
        "message": str(rest.pop("progress", None) or "heartbeat"),
        "metadata": {"task": task, **rest},
        "created_at": at,
    }


def _text(rest: dict[str, Any], key: str, where: str) -> str:
    found = rest.pop(key, None)
    if not isinstance(found, str) or not found.strip():
        raise ContractBroken(f"{where}: {key} is missing or no text")
    return found


def _scope(rest: dict[str, Any], where: str) -> str:
    found = str(rest.pop("scope", None) or "ops").lower()
    if found not in _SCOPES:
        raise ContractBroken(f"{where}: scope is none of {', '.join(_SCOPES)}")
    return found


def _whole(rest: dict[str, Any], key: str, where: str, default: int | None = None) -> int:
    found = rest.pop(key, default)
    if isinstance(found, str) and found.isdigit():
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ContractBroken(f"{where}: {key} is no whole number")
    return found


def _number(rest: dict[str, Any], key: str, where: str) -> float | None:
    found = rest.pop(key, None)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 0:
        raise ContractBroken(f"{where}: {key} is no number from 0 on")
    return float(found)


def _instant(rest: dict[str, Any], key: str, where: str) -> str:
    text = _text(rest, key, where)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ContractBroken(f"{where}: {key} is no instant") from error
    if found.tzinfo is None:
        raise ContractBroken(f"{where}: {key} has no time zone")
    return found.isoformat()
