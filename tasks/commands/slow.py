"""`ocd db slow`: which statements are slow, why, and whether an index would help."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ocd.core.db import redacted
from ocd.database.slow import find
from ocd.database.slow.report import Question, Slow, SlowReport, report
from ocd.database.slow.serverlog import ServerLog
from ocd.database.slow.source import Source
from tasks import runtime
from tasks.commands.look import json_option, parse_since
from tasks.render import as_json


@click.command(epilog="Example: ocd db slow --since 24h --top 5")
@click.option("--since", default="7d", show_default=True, help="From when on: 2026-11-23, 36h, 7d.")
@click.option(
    "--top",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="So many statements, most time in all first.",
)
@click.option(
    "--over-ms",
    default=200.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Only what once took longer.",
)
@click.option(
    "--source",
    "wanted",
    type=click.Choice(find.SOURCES),
    help="Where to look. Default: the first of these that there is.",
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path),
    help="A JSON log of the server, as a file here.",
)
@click.option(
    "--rows",
    default=200_000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Rows per table that are copied to try an index on; 0 tries none.",
)
@json_option
def slow(
    since: str,
    top: int,
    over_ms: float,
    wanted: str | None,
    log_file: Path | None,
    rows: int,
    is_json: bool,
) -> None:
    """Report slow statements with plan, and indexes tried in a scratch database; changes nothing."""
    start = parse_since(since)
    assert start is not None, "there is a default"  # noqa: S101
    question = Question(start, over_ms, top, rows)
    try:
        with runtime.engine("cli", with_redis=False).connect() as conn:
            found = report(conn, _source(conn, wanted, log_file), question)
    except DBAPIError as error:
        raise redacted(error) from error
    if is_json:
        as_json({"version": found.version} | asdict(found))
    else:
        click.echo(_page(found))


def _source(conn: Connection, wanted: str | None, log_file: Path | None) -> Source:
    if log_file is not None:
        return ServerLog.of_file(log_file, conn)
    return find.source(conn, wanted)


def _page(found: SlowReport) -> str:
    """Return the report in Markdown."""
    known = f", since {found.known_since:%Y-%m-%d %H:%MZ}" if found.known_since else ""
    lines = ["# Slow statements", "", f"{found.summary}{known}."]
    if found.hidden:
        lines.append(
            f"{found.hidden} statements are hidden from this login; grant pg_read_all_stats."
        )
    for number, one in enumerate(found.statements, start=1):
        lines += ["", *_section(number, one)]
    return "\n".join(lines)


def _section(number: int, one: Slow) -> list[str]:
    lines = [
        f"## {number}. {one.total_ms / 1000:,.1f} s in {one.calls:,} calls",
        "",
        f"Mean {one.mean_ms:,.0f} ms, longest {one.max_ms:,.0f} ms{f', as {one.role}' if one.role else ''}.",
        "",
        "```sql",
        one.statement,
        "```",
    ]
    if one.plan:
        lines += ["", "```text", *one.plan, "```"]
    tried = one.proposal
    if tried:
        times = (
            f", {tried.ms_before:,.2f} → {tried.ms_after:,.2f} ms"
            if tried.ms_before is not None and tried.ms_after is not None
            else ", times not measured: a value's column is not known"
        )
        lines += [
            "",
            f"Helps: `{tried.index}`",
            (
                f"On {tried.rows:,} copied rows: cost {tried.cost_before:,.0f} → {tried.cost_after:,.0f}{times};"
                f" {tried.index_bytes / 2**20:,.1f} MiB."
            ),
        ]
    remark = one.remark[:1].upper() + one.remark[1:]
    return [*lines, "", f"{remark}."] if remark else lines
