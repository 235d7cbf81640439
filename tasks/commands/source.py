"""`ocd source`: how the outside sources stand, and whether they can be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ocd.core.db import now_of, redacted
from ocd.core.errors import OcdError, UnknownName
from ocd.core.settings import Settings
from ocd.sources.freshness import SourceAge, ages
from ocd.sources.ga4 import status as ga4
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, span_text


@dataclass(frozen=True)
class Source:
    """What can be asked about a source: facts for machines, their lines for people, and a try."""

    facts: Callable[[Connection, Settings, datetime], dict[str, Any]]
    lines: Callable[[dict[str, Any]], list[str]]
    probe: Callable[[Settings, datetime], list[str]]


def _ga4_facts(conn: Connection, settings: Settings, now: datetime) -> dict[str, Any]:
    newest = ga4.newest(conn)
    property_id = settings.ga_property or (newest["property"] if newest else "")
    return {
        "backend": settings.ga_backend,
        "newest": newest,
        "quotas": [asdict(one) for one in ga4.quota_levels(conn, property_id, now)],
        "usage": asdict(ga4.usage(conn, property_id, now)),
    }


def _ga4_lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"backend    {facts['backend'] or 'none'}"]
    newest, usage = facts["newest"], facts["usage"]
    if newest:
        flags = [name for name in ("is_provisional", "is_incomplete") if newest[name]]
        words = [newest["origin"], *(name.removeprefix("is_") for name in flags)]
        lines.append(
            f"newest     {newest['newest_day']} of {newest['property']}, {', '.join(words)}"
        )
    for one in facts["quotas"]:
        blocked = f", blocked until {one['blocked_until']:%H:%M}Z" if one["blocked_until"] else ""
        left = f"{one['remaining']:,} of {one['limit']:,} left at {one['as_of']:%H:%M}Z"
        lines.append(f"quota      {one['quota']}: {left}{blocked}")
    said = f"{usage['requests']:,} requests, {usage['failed']:,} failed ({usage['refused']:,} for a quota, "
    lines.append(f"7 days     {said}{usage['server_errors']:,} by 5xx)")
    if usage["requests"]:
        slow = f"{usage['slow_rate']:.0%} over 0.5 s, longest {usage['longest_ms']:,} ms"
        lines.append(f"latency    mean {usage['mean_ms']:,.0f} ms, {slow}")
    if usage["hit_ratio"] is not None:
        lines.append(f"hit ratio  {usage['hit_ratio']:.0%} of partitions were good as they stood")
    return lines


SOURCES = {"ga4": Source(_ga4_facts, _ga4_lines, ga4.probe)}


@click.group(epilog="Example: ocd source test ga4")
def source() -> None:
    """See how outside sources stand: age, quota, latency; try whether they answer."""


@source.command(epilog="Example: ocd source status")
@json_option
def status(is_json: bool) -> None:
    """Say how old each source's data is, what is left of its quotas, how often and fast it answered."""
    settings = runtime.settings(with_redis=False)
    try:
        with runtime.engine("cli", with_redis=False).connect() as conn:
            now = now_of(conn)
            aged = ages(conn, now)
            facts = {name: one.facts(conn, settings, now) for name, one in SOURCES.items()}
    except DBAPIError as error:
        raise redacted(error) from error
    if is_json:
        as_json({one.source: _as_dict(one) | facts.get(one.source, {}) for one in aged})
        return
    for one in aged:
        click.echo(f"{one.source}: {age_text(one)}")
        for line in SOURCES[one.source].lines(facts[one.source]) if one.source in SOURCES else ():
            click.echo(f"  {line}")


def _as_dict(one: SourceAge) -> dict[str, Any]:
    return asdict(one) | {"is_stale": one.is_stale}


def age_text(one: SourceAge) -> str:
    """Return when it was read, in words."""
    if one.age_s is None:
        return "never read"
    return f"read {span_text(one.age_s)} ago" + (", stale" if one.is_stale else "")


@source.command(epilog="Example: ocd source test ga4")
@click.argument("name")
@json_option
def test(name: str, is_json: bool) -> int:
    """Check credentials and reachability of a source with one request; exit code 1 says what is missing."""
    if name not in SOURCES:
        raise UnknownName("source", name, SOURCES)
    settings = runtime.settings(with_redis=False)
    try:
        lines, fault = SOURCES[name].probe(settings, runtime.now("cli", with_redis=False)), None
    except OcdError as error:
        lines, fault = [], f"{type(error).__name__}: {error.message}"
    if is_json:
        as_json({"source": name, "is_well": fault is None, "said": lines, "fault": fault})
    else:
        for line in [*lines, *([fault] if fault else [])]:
            click.echo(f"{name}: {line}")
    return int(fault is not None)
