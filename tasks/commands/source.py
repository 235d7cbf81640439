"""`ocd source`: how the outside sources stand, and whether they can be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import click
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ocd.core.db import now_of, redacted
from ocd.core.errors import OcdError, UnknownName
from ocd.core.settings import Settings
from ocd.database.freshness import Freshness, State, of_sources
from ocd.datasets.facts import Dataset
from ocd.datasets.sources import GA_PARTITIONS, SITEMAP_SNAPSHOTS
from ocd.sources.ga4 import status as ga4
from ocd.sources.sitemaps import history as sitemaps
from ocd.sources.sitemaps.probe import probe as probe_sitemap
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, span_text


@dataclass(frozen=True)
class Tried:
    """What was found out about a source, and what is missing; None: nothing."""

    said: list[str]
    fault: str | None = None


@dataclass(frozen=True)
class Source:
    """The table whose age counts, facts for machines, their lines for people, and a try."""

    dataset: Dataset
    facts: Callable[[Connection, Settings, datetime], dict[str, Any]]
    lines: Callable[[dict[str, Any]], list[str]]
    probe: Callable[[Settings, datetime], Tried]


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


def _try_ga4(settings: Settings, now: datetime) -> Tried:
    try:
        return Tried(ga4.probe(settings, now))
    except OcdError as error:
        return Tried([], f"{type(error).__name__}: {error.message}")


def _sitemap_facts(conn: Connection, settings: Settings, now: datetime) -> dict[str, Any]:
    found = sitemaps.readings(conn)
    of_site = [one for one in found if one["site"] == found[0]["site"]]
    return {
        "newest": next((one for one in of_site if one["id"] is not None), None),
        "held": list(takewhile(lambda one: one["id"] is None, of_site)),
    }


def _sitemap_lines(facts: dict[str, Any]) -> list[str]:
    newest, held = facts["newest"], facts["held"]
    lines = []
    if newest:
        of = f"{newest['id']} of {newest['site']}, {newest['taken_at']:%Y-%m-%d %H:%M}Z"
        lines.append(
            f"newest     reading {of}: {newest['url_count']:,} URLs in {newest['file_count']} files"
        )
    if newest and newest["added_count"] is not None:
        counts = (f"{newest[f'{what}_count']:,} {what}" for what in ("added", "removed", "changed"))
        lines.append(f"changes    {', '.join(counts)}")
    return lines + [
        f"held       {one['taken_at']:%Y-%m-%d %H:%M}Z, run {one['run_id']}: {one['held_reason']}"
        for one in held
    ]


def _try_sitemap(settings: Settings, now: datetime) -> Tried:
    steps = probe_sitemap(settings.sitemap_url, settings.sitemap_allow_hosts, now=now)
    told = [f"{step.name}: {step.said}" for step in steps]
    return Tried(told) if steps[-1].is_ok else Tried(told[:-1], told[-1])


SOURCES = {
    "ga4": Source(GA_PARTITIONS, _ga4_facts, _ga4_lines, _try_ga4),
    "sitemap": Source(SITEMAP_SNAPSHOTS, _sitemap_facts, _sitemap_lines, _try_sitemap),
}


@click.group(epilog="Example: ocd source test ga4")
def source() -> None:
    """See how outside sources stand: age, quota, latency; try whether they answer."""


@source.command(epilog="Example: ocd source status")
@json_option
def status(is_json: bool) -> None:
    """Say how old each source's data is, what is left of its quotas, what was held, how fast it answered."""
    settings = runtime.settings(with_redis=False)
    try:
        with runtime.engine("cli", with_redis=False).connect() as conn:
            now = now_of(conn)
            ages = {one.dataset: one for one in of_sources(conn, as_of=now)}
            facts = {name: one.facts(conn, settings, now) for name, one in SOURCES.items()}
    except DBAPIError as error:
        raise redacted(error) from error
    if is_json:
        as_json(
            {name: asdict(ages[one.dataset.name]) | facts[name] for name, one in SOURCES.items()}
        )
        return
    for name, one in SOURCES.items():
        click.echo(f"{name}: {_age_text(ages[one.dataset.name])}")
        for line in one.lines(facts[name]):
            click.echo(f"  {line}")


def _age_text(one: Freshness) -> str:
    if one.age_hours is None:
        return "never read"
    said = f"read {span_text(one.age_hours * 3600)} ago"
    return said + (
        f", at most {one.limit_hours:.0f} h are meant" if one.state is State.STALE else ""
    )


@source.command(epilog="Example: ocd source test ga4")
@click.argument("name")
@json_option
def test(name: str, is_json: bool) -> int:
    """Check credentials and reachability of a source; exit code 1 says what is missing."""
    if name not in SOURCES:
        raise UnknownName("source", name, SOURCES)
    settings = runtime.settings(with_redis=False)
    tried = SOURCES[name].probe(settings, runtime.now("cli", with_redis=False))
    if is_json:
        as_json({"source": name, "is_well": tried.fault is None} | asdict(tried))
    else:
        for line in [*tried.said, *([tried.fault] if tried.fault else [])]:
            click.echo(f"{name}: {line}")
    return int(tried.fault is not None)
