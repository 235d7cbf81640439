"""Commands about the system's health: status, incidents, dead runs, and the API that tells machines."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from ocd.core import broker
from ocd.core import logging as ocd_logging
from ocd.core.db import engine_for
from ocd.core.errors import ConfigError
from ocd.ledger import history, observe
from ocd.ledger import incidents as ledger
from ocd.ledger.states import State
from tasks import runtime
from tasks.commands.look import json_option
from tasks.glance import glance, incidents_table
from tasks.job import job_named
from tasks.overview import SEVERITIES, overview
from tasks.render import as_json, console, subject_text
from tasks.watch import watched

log = logging.getLogger(__name__)

#: Log lines of a dead run that are shown with it.
LAST_LINES = 5


@click.command(epilog="Example: ocd status --fail-on error")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Exit code 1 while an incident of this severity or worse is open.",
)
@json_option
def status(fail_on: str | None, is_json: bool) -> int:
    """Say at a glance whether all is well: who is heard, what waits, runs, is late or needs a person."""
    redis_url = runtime.settings(with_redis=False).redis_url
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = overview(conn, redis_url)
    if is_json:
        as_json(found.as_dict())
    else:
        shown = console()
        for part in glance(found):
            shown.print(part)
    if fail_on is None:
        return 0
    counts = found.severities()
    return int(any(counts[name] for name in SEVERITIES[SEVERITIES.index(fail_on) :]))


@click.group(invoke_without_command=True, epilog="Example: ocd incidents close 3")
@click.option("--all", "is_all", is_flag=True, help="Closed ones too.")
@click.option("--job", help="Only of this job.")
@json_option
@click.pass_context
def incidents(context: click.Context, is_all: bool, job: str | None, is_json: bool) -> None:
    """List the open incidents, once per cause; close one that nothing will recover."""
    if context.invoked_subcommand is not None:
        return
    if job is not None:
        job_named(job)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = ledger.incidents(conn, with_closed=is_all, job=job)
    if is_json:
        as_json(found)
    elif found:
        console().print(incidents_table(found))
    else:
        click.echo("no incidents" if is_all else "no open incidents; `--all` shows closed ones")


@incidents.command("close", epilog="Example: ocd incidents close 3")
@click.argument("incident", type=int)
def close_one(incident: int) -> None:
    """Close an incident by hand; a good run of its job closes it by itself."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        ledger.close_by_hand(conn, incident)
    click.echo(f"incident {incident} is closed; the same cause would open a new one")


@click.command(epilog="Example: ocd dead --job lifecycle.purge")
@click.option("--job", help="Only of this job.")
@click.option("--limit", default=20, show_default=True, help="At most this many, the newest.")
@json_option
def dead(job: str | None, limit: int, is_json: bool) -> None:
    """List the dead runs as letters that nobody could deliver: who tried, where it broke, how to replay."""
    if job is not None:
        job_named(job)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        ids = observe.bad_ends(conn, (State.DEAD,), job=job, limit=limit)
        letters = [
            history.run(conn, run) | {"log": history.log_lines(conn, run, last=LAST_LINES)}
            for run in ids
        ]
    if is_json:
        as_json(letters)
        return
    if not letters:
        click.echo("no dead runs")
        return
    shown = console()
    for letter in letters:
        _show_letter(shown, letter)
    only = f" --job {job}" if job else ""
    shown.print(f"replay one: ocd rerun {letters[0]['id']} · all: ocd rerun --dead{only}")


def _show_letter(shown: Console, letter: dict[str, Any]) -> None:
    name = f"{letter['job']} {subject_text(letter)}".strip()
    shown.print(
        f"[bold]run {letter['id']}[/]  {escape(name)}  window {letter['window']}  "
        f"[red]dead[/] since {letter['finished_at']:%Y-%m-%d %H:%M:%S}Z"
    )
    shown.print(f"  [red]{letter['error_class']}[/]: {escape(str(letter['error_message']))}")
    for attempt in letter["attempts"]:
        error = f" {attempt['error_class']}" if attempt["error_class"] else ""
        shown.print(
            f"  attempt {attempt['generation']}.{attempt['number']}  {attempt['started_at']:%m-%d %H:%M:%S}Z"
            f"  {attempt['outcome']}{error}  on {escape(attempt['worker'])}"
        )
    places = [attempt["traceback"] for attempt in letter["attempts"] if attempt["traceback"]]
    if places:
        shown.print(f"[dim]{escape(places[-1].rstrip())}[/]")
    for line in letter["log"]:
        facts = " ".join(f"{key}={value}" for key, value in line["fields"].items())
        shown.print(f"  [dim]{line['at']:%H:%M:%S}Z {line['event']} {escape(facts)}[/]".rstrip())
    shown.print()


@click.command(epilog="Example: ocd api --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port. Default: OCD_API_PORT.")
def api(host: str, port: int | None) -> None:
    """Serve /healthz, /readyz and /metrics, reading the ledger with the reader's login."""
    try:
        import uvicorn

        from ocd.api.app import create_app
    except ImportError as error:
        raise ConfigError(
            f"ocd api needs {error.name}, which is not installed: pip install 'ocd[api]'"
        ) from error
    settings = runtime.settings()
    ocd_logging.configure(settings.log_format, settings.log_level)
    app = create_app(
        engine_for(settings.reader_url(), "api"),
        watched(),
        lambda: broker.queue_lengths(settings.broker_url()),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn ends what it serves, then raises the signal again: servers of the home are let go on exit.
        signal.signal(number, lambda *_: sys.exit(0))
    chosen = settings.api_port if port is None else port
    log.info("api_starts", extra={"host": host, "port": chosen})
    uvicorn.run(
        app,
        host=host,
        port=chosen,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
    )
