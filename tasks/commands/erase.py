"""Commands of erasures: `ocd erase request | acknowledge | run | withdraw | list`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from ocd.core.errors import ConfigError
from ocd.lifecycle import deadlines, erasures
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import chosen_window, told, who, workers
from tasks.follow import follow
from tasks.job import job_named
from tasks.publish import place
from tasks.render import as_json, console, plain_table, runs_table


@click.group(epilog="Example: ocd erase request --proof email-and-order --file ids.txt")
def erase() -> None:
    """Answer people who ask to be forgotten.

    Whom it is about is read from a file, standard input or the keyboard, never from the command line, which
    any process may read and every shell remembers.
    """


@erase.command(epilog="Example: ocd erase request --proof email-and-order < ids.txt")
@click.option(
    "--proof",
    required=True,
    help=f"What the person has shown: {' or '.join(deadlines.PROOFS)}.",
)
@click.option("--received", help="When it came, such as 2026-11-23T14:05Z. Default: now.")
@click.option(
    "--file", "source", type=click.File(encoding="utf-8"), help="Where the ids stand, one a line."
)
@json_option
def request(proof: str, received: str | None, source: TextIO | None, is_json: bool) -> None:
    """Note a request: conversation:ID, customer:ID and order:ID, one a line. The clock starts."""
    now = runtime.now("cli", with_redis=False)
    received_at = _instant(received, now)
    subjects = deadlines.subjects_of(source or _typed())
    with runtime.engine("cli", with_redis=False).begin() as conn:
        made = erasures.add(
            conn, subjects, proof=proof, received_at=received_at, requested_by=who()
        )
    if is_json:
        as_json(
            {
                "erasure": made.number,
                "acknowledge_by": made.clock.acknowledge_by,
                "due_at": made.clock.due_at,
            }
        )
        return
    click.echo(
        f"erasure {made.number}: tell the person by {_day(made.clock.acknowledge_by)} that it came, "
        f"and have it done by {_day(made.clock.due_at)}"
    )
    click.echo(f"next: ocd erase acknowledge {made.number} · ocd erase run {made.number} --dry-run")


def _typed() -> Iterator[str]:
    """Yield the lines of standard input; at a terminal until an empty one."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    click.echo("conversation:ID, customer:ID or order:ID, one a line; an empty line ends", err=True)
    while line := input().strip():
        yield line


def _instant(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError("--received: expected an instant such as 2026-11-23T14:05Z") from error
    found = found.replace(tzinfo=found.tzinfo or UTC)
    if found > now:
        raise ConfigError("--received: it lies in the future")
    return found


@erase.command(epilog="Example: ocd erase acknowledge 3")
@click.argument("number", type=int)
def acknowledge(number: int) -> None:
    """Note that the person was told that the request came."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        erasures.acknowledge(conn, number, acknowledged_by=who())
    click.echo(f"erasure {number}: acknowledged")


@erase.command(epilog="Example: ocd erase withdraw 3")
@click.argument("number", type=int)
def withdraw(number: int) -> None:
    """Forget a request that the person took back, before anything was erased."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        erasures.withdraw(conn, number)
    click.echo(f"erasure {number}: withdrawn, and whom it was about is forgotten")


@erase.command(epilog="Example: ocd erase run 3 --dry-run")
@click.argument("number", type=int)
@click.option("--dry-run", is_flag=True, help="Count what it would touch; change nothing.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def run(number: int, dry_run: bool, wait: bool, is_json: bool) -> int:
    """Erase what the request names, in tables, archives and other stores; backups expire early."""
    job = job_named("lifecycle.erase")
    window = chosen_window(job.cadence, None)
    order = job.order({"request": number}, window, is_dry=dry_run, requested_by=who())
    if not wait:
        return told(place([order], retry_ended=True), is_json)
    with workers():
        found = follow([one.run_id for one in place([order], retry_ended=True)], quiet=is_json)
    if is_json:
        as_json(found)
    else:
        console().print(runs_table(found))
        _say_found(found[0]["evidence"])
    return 0 if found[0]["state"] == "done" else 1


def _say_found(evidence: dict[str, Any] | None) -> None:
    """Print where how many rows were found."""
    table = plain_table("where", "what", "rows", right=frozenset({"rows"}))
    for where, key in (
        ("table", "tables"),
        ("archives", "archived"),
        ("backup", "backups"),
        ("other store", "others"),
    ):
        for name, rows in (evidence or {}).get(key, {}).items():
            table.add_row(where, name, f"{rows:,}")
    if table.row_count:
        console().print(table)


@erase.command("list", epilog="Example: ocd erase list --all")
@click.option("--all", "with_ended", is_flag=True, help="Done and withdrawn ones as well.")
@json_option
def list_requests(with_ended: bool, is_json: bool) -> None:
    """List requests and their clocks, never whom they are about."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = erasures.requests(conn, with_ended=with_ended)
    if is_json:
        as_json(found)
        return
    for one in found:
        click.echo(f"{one['id']}  received {_day(one['received_at'])}  {_stands(one)}")
    if not found:
        click.echo("no erasure is open")


def _stands(one: dict[str, Any]) -> str:
    if one["withdrawn_at"]:
        return f"withdrawn {_day(one['withdrawn_at'])}"
    if one["finished_at"]:
        backups = f", last backup gone by {_day(one['gone_by'])}" if one["gone_by"] else ""
        return f"done {_day(one['finished_at'])} by run {one['run_id']}{backups}"
    told_by = (
        "acknowledged"
        if one["acknowledged_at"]
        else f"acknowledge by {_day(one['acknowledge_by'])}"
    )
    return f"{told_by}, due {_day(one['due_at'])}"


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"
