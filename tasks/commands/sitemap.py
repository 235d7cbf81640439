"""`ocd sitemap`: readings of the shop's sitemap, what changed between two, the series as a page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from ocd.core.errors import ConfigError
from ocd.core.store import open_store
from ocd.sources.sitemaps import history, report
from ocd.sources.sitemaps.policy import Diff
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, console, plain_table

#: Marks of a difference as people know them; lastmod alone is no difference.
_MARKS = {
    "added": "[green]+[/]",
    "removed": "[red]-[/]",
    "content_changed": "[yellow]~[/]",
    "lastmod_only": "[dim]t[/]",
}
_SITE = click.option(
    "--site", help="Only of this host, or host:port. Default: all, or the only one."
)


@click.group(epilog="Example: ocd sitemap diff 12 13")
def sitemap() -> None:
    """Look at the readings of the shop's sitemap: list, diff, report."""


@sitemap.command("list", epilog="Example: ocd sitemap list --site shop.example")
@_SITE
@click.option("--limit", default=30, show_default=True, help="At most this many, the newest.")
@json_option
def list_readings(site: str | None, limit: int, is_json: bool) -> None:
    """List readings, newest first; held ones changed too much at once and count for nothing."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = history.readings(conn, site=site, limit=limit)
    if is_json:
        as_json(found)
    elif found:
        console().print(_readings_table(found))
    else:
        click.echo("no readings yet; `ocd run sources.snapshot_sitemap` takes one")


def _readings_table(found: list[dict[str, Any]]) -> Table:
    columns = ("reading", "URLs", "added", "removed", "changed", "lastmod")
    table = plain_table(
        columns[0], "site", "taken", *columns[1:], "run", "said", right=frozenset((*columns, "run"))
    )
    for one in found:
        table.add_row(
            "[yellow]held[/]" if one["id"] is None else str(one["id"]),
            escape(one["site"]),
            f"{one['taken_at']:%Y-%m-%d %H:%M}Z",
            f"{one['url_count']:,}",
            *(
                _number(one[name])
                for name in ("added_count", "removed_count", "changed_count", "lastmod_only_count")
            ),
            str(one["run_id"]),
            _said(one),
        )
    return table


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _said(one: dict[str, Any]) -> str:
    if one["held_reason"]:
        return escape(one["held_reason"])
    parts = []
    if one["is_lastmod_uniform"]:
        parts.append("lastmod uniform")
    if one["soft_404_count"]:
        parts.append(f"[red]{one['soft_404_count']} soft 404[/]")
    if one["not_modified_count"]:
        parts.append(f"{one['not_modified_count']} of {one['file_count']} files not sent again")
    return ", ".join(parts)


@sitemap.command("diff", epilog="Example: ocd sitemap diff 12 13")
@click.argument("before", type=int)
@click.argument("after", type=int)
@json_option
def diff(before: int, after: int, is_json: bool) -> None:
    """Say what changed from one reading to another: added, removed, content changed, lastmod only."""
    store = open_store(runtime.settings(with_redis=False).artifact_location())
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = history.diff(conn, store, before, after)
    if is_json:
        as_json(asdict(found))
        return
    for kind, mark in _MARKS.items():
        for loc in getattr(found, kind) or ():
            console().print(f"{mark} {escape(loc)}", soft_wrap=True)
    click.echo(_summary(found))


def _summary(found: Diff) -> str:
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.content_changed)} content changed"
    if found.lastmod_only is None:
        return f"{counts}; lastmod cannot be compared any more, the copies are past their time"
    return f"{counts}, {len(found.lastmod_only)} lastmod only"


@sitemap.command("report", epilog="Example: ocd sitemap report --output sitemap.html")
@_SITE
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write; one that exists is replaced.",
)
def write_report(site: str | None, output: Path) -> None:
    """Write the series of a site as one HTML file. Every run keeps the same as an artifact."""
    store = open_store(runtime.settings(with_redis=False).artifact_location())
    now = runtime.now("cli", with_redis=False)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        readings = history.readings(conn, site=site)
        sites = sorted({one["site"] for one in readings})
        if len(sites) != 1:
            raise ConfigError(
                f"--site: name one of {', '.join(sites)}"
                if sites
                else "no readings yet; `ocd run sources.snapshot_sitemap` takes one"
            )
        believed = [one["id"] for one in readings if one["id"] is not None][:2]
        changed = history.diff(conn, store, *reversed(believed)) if len(believed) == 2 else None
    output.write_bytes(report.page(sites[0], readings, diff=changed, now=now))
    click.echo(f"{len(readings)} readings of {sites[0]}: {output}")
