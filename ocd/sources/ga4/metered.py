"""The quota ledger: no request leaves before PostgreSQL agreed, and every answer is written down.

All workers share it. Google's own word about what is left is the truth of its instant; what was sent
since and not answered yet is taken off. A killed worker's request is forgotten when it cannot be
under way any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from ocd.core.db import now_of
from ocd.core.errors import OcdError, QuotaExhausted, SourceUnavailable, TooEarly
from ocd.core.sqlfiles import statement
from ocd.sources.ga4.client import Answer, GaClient, Request
from ocd.sources.ga4.policy import DAY, FIRST_TOKENS, QUOTAS, Level, limit_of, may_send, spent

log = logging.getLogger(__name__)

#: Longer than any backend waits for an answer.
FORGOTTEN = timedelta(minutes=3)
#: A tile waits no longer; requests above it are counted as slow.
SLOW_S = 0.5

_LIST_LEVELS = statement(__file__, "list_levels.sql")
_ESTIMATE = statement(__file__, "estimate_tokens.sql")
_ADD = statement(__file__, "add_request.sql")
_SET_LEVEL = statement(__file__, "set_level.sql")
_ADD_USAGE = statement(__file__, "add_usage.sql")


@dataclass(frozen=True)
class _Ticket:
    """Leave to send one request."""

    id: int
    property: str
    tokens: int
    sent_at: datetime


class MeteredClient(GaClient):
    """Asks the ledger before each request of another client; raises TooEarly where it says no."""

    def __init__(self, client: GaClient, engine: Engine, *, run_id: int) -> None:
        self._client = client
        self._engine = engine
        self._run_id = run_id

    def run_report(self, property_id: str, request: Request) -> Answer:
        """Return the other client's answer. Commits twice, on connections of its own."""
        ticket = self._reserve(property_id, request)
        started = time.perf_counter()
        try:
            answer = self._client.run_report(property_id, request)
        except OcdError as error:
            self._settle(ticket, time.perf_counter() - started, error)
            raise
        self._settle(ticket, time.perf_counter() - started, answer)
        return answer

    def _reserve(self, property_id: str, request: Request) -> _Ticket:
        values = {"property": property_id, "report": request.report.name, "run_id": self._run_id}
        with self._engine.begin() as conn:
            _lock(conn, property_id)
            now = now_of(conn)
            tokens = conn.execute(_ESTIMATE, values).scalar() or FIRST_TOKENS
            wait = may_send(
                now, levels_of(conn, property_id), tokens, _under_way(conn, property_id)
            )
            if wait is not None:
                log.info("ga_quota_held", extra={"quota": wait.quota, "seconds": wait.seconds})
                raise TooEarly(
                    f"GA4 {wait.quota}: too little is left, so nothing was asked; it opens within {wait.seconds:,.0f} s",
                    retry_after_s=wait.seconds,
                )
            values |= {"tokens": tokens, "sent_at": now, "forgotten_at": now + FORGOTTEN}
            number: int = conn.execute(_ADD, values).scalar_one()
        return _Ticket(number, property_id, tokens, now)

    def _settle(self, ticket: _Ticket, took_s: float, result: Answer | OcdError) -> None:
        with self._engine.begin() as conn:
            _lock(conn, ticket.property)
            conn.execute(
                text(
                    "delete from landing.ga_request where id = :id or (property = :property and forgotten_at < clock_timestamp())"
                ),
                {"id": ticket.id, "property": ticket.property},
            )
            now = now_of(conn)
            levels = levels_of(conn, ticket.property)
            for name, level in _levels_after(ticket, now, levels, result).items():
                _set_level(conn, ticket.property, name, level)
            add_usage(conn, ticket.property, now, **_usage(took_s, result))


def levels_of(conn: Connection, property_id: str) -> dict[str, Level]:
    """Return what is known of each quota of a property."""
    rows = conn.execute(_LIST_LEVELS, {"property": property_id})
    return {row.quota: Level(row.remaining, row.as_of, row.blocked_until) for row in rows}


def add_usage(conn: Connection, property_id: str, now: datetime, **counts: int) -> None:
    """Add counts to those of the property's hour. The caller commits."""
    names = (
        "requests",
        "refused",
        "server_errors",
        "failed",
        "slow",
        "latency_ms",
        "longest_ms",
        "slices_read",
        "slices_kept",
    )
    conn.execute(
        _ADD_USAGE,
        {"property": property_id, "at": now} | {name: counts.get(name, 0) for name in names},
    )


def _lock(conn: Connection, property_id: str) -> None:
    conn.execute(
        text("select pg_advisory_xact_lock(hashtextextended('ga4 quota ' || :property, 0))"),
        {"property": property_id},
    )


def _under_way(conn: Connection, property_id: str) -> list[int]:
    rows = conn.execute(
        text(
            "select tokens from landing.ga_request where property = :property and forgotten_at > clock_timestamp()"
        ),
        {"property": property_id},
    )
    return [row.tokens for row in rows]


def _set_level(conn: Connection, property_id: str, name: str, level: Level) -> None:
    conn.execute(
        _SET_LEVEL,
        {
            "property": property_id,
            "quota": name,
            "remaining": level.remaining,
            "as_of": level.as_of,
            "blocked_until": level.blocked_until,
        },
    )


def _levels_after(
    ticket: _Ticket, now: datetime, levels: Mapping[str, Level], result: Answer | OcdError
) -> dict[str, Level]:
    """Return the levels that an answer or refusal changes."""
    if isinstance(result, QuotaExhausted):
        name = result.quota or "tokensPerHour"
        wait = DAY if result.retry_after_s is None else timedelta(seconds=result.retry_after_s)
        # What is left is not said; whoever asks after the block finds out.
        return {name: Level(limit_of(name), now, now + wait)}
    if isinstance(result, SourceUnavailable) and result.is_server_error:
        return spent(now, levels, "errors", 1)
    if isinstance(result, OcdError):
        return {}
    return _reported(result, ticket.sent_at) or spent(now, levels, "tokens", ticket.tokens)


def _reported(answer: Answer, sent_at: datetime) -> dict[str, Level]:
    """Return Google's word on each quota; a number that is zero is left out by the API's JSON."""
    said = answer.get("propertyQuota") if isinstance(answer, Mapping) else None
    if not isinstance(said, Mapping):
        return {}
    found = {
        quota.name: said[quota.name].get("remaining", 0)
        for quota in QUOTAS
        if isinstance(said.get(quota.name), Mapping)
    }
    return {name: Level(left, sent_at) for name, left in found.items() if isinstance(left, int)}


def _usage(took_s: float, result: Answer | OcdError) -> dict[str, int]:
    took_ms = round(took_s * 1000)
    is_server_error = isinstance(result, SourceUnavailable) and result.is_server_error
    return {
        "requests": 1,
        "refused": int(isinstance(result, QuotaExhausted)),
        "server_errors": int(is_server_error),
        "failed": int(isinstance(result, OcdError)),
        "slow": int(took_s > SLOW_S),
        "latency_ms": took_ms,
        "longest_ms": took_ms,
    }


def metered(client: GaClient, engine: Engine, origin: str, *, run_id: int) -> GaClient:
    """Return the client behind the ledger; a recording has no quota."""
    return MeteredClient(client, engine, run_id=run_id) if origin == "live" else client
