"""Commands that bring rows back: restore, unpurge, scratch."""

from __future__ import annotations

import sys
from typing import Any

import click
from sqlalchemy import Connection, text

from ocd.core import scratch as servers
from ocd.core.errors import ConfigError, PolicyRefused
from ocd.datasets.registry import dataset as dataset_named
from ocd.lifecycle import portions
from ocd.lifecycle import restore as restoring
from ocd.lifecycle.restore import BACKUP, LIVE, PURGE, SCRATCH, Wish
from tasks import runtime
from tasks.attempt import run_here
from tasks.commands.look import json_option
from tasks.commands.order import chosen_window, told, who, workers
from tasks.follow import follow
from tasks.job import Job, job_named, store_of
from tasks.publish import place
from tasks.render import as_json, console, plain_table, runs_table

_WHERE = "Only rows for which this condition holds, in SQL; - reads it from standard input."
_LIVE = "Write to the configured database of this name. Not asked for on this clone's own."


@click.command(epilog='Example: ocd restore --backup 12 --table agent_feedback --where "id = 4711"')
@click.option(
    "--backup",
    default="newest",
    show_default=True,
    help="Number of the backup's run, its folder, or newest.",
)
@click.option("--table", help="Only this dataset. Default: all.")
@click.option("--where", help=_WHERE)
@click.option(
    "--into",
    type=click.Choice([SCRATCH, LIVE]),
    default=SCRATCH,
    show_default=True,
    help="A server of its own on this machine, or the live database.",
)
@click.option("--yes-into-live", "confirmed", metavar="DATABASE", help=_LIVE)
@click.option("--dry-run", is_flag=True, help="Say what would come back; change nothing.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def restore(
    backup: str,
    table: str | None,
    where: str | None,
    into: str,
    confirmed: str | None,
    dry_run: bool,
    wait: bool,
    is_json: bool,
) -> int:
    """Bring rows back from a backup: all, one table's, or some.

    What is there is never overwritten: rows in conflict are counted and named. Erased people's rows stay away.
    """
    dataset = dataset_named(table).name if table else None
    condition = _condition(where, dataset)
    settings = runtime.settings(with_redis=False)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        folder = portions.find_folder(conn, store_of(settings), backup)
        database = _confirmed(conn, confirmed, dry_run) if into == LIVE else None
    wish = Wish(BACKUP, folder, dataset, condition, into, database)
    if not is_json:
        click.echo(f"from {folder}", err=True)
    if into == LIVE:
        return _order(job_named("lifecycle.restore"), _noted(wish), dry_run, wait, is_json)
    return _restore_here(_noted(wish), dry_run, is_json)


@click.command(epilog="Example: ocd unpurge 12 --where \"conversation_id = '1042'\" --dry-run")
@click.argument("run", type=int)
@click.option("--where", help=_WHERE)
@click.option(
    "--hold/--no-hold",
    "is_held",
    default=True,
    show_default=True,
    help="Hold the table, or the next purge takes the rows again.",
)
@click.option("--yes-into-live", "confirmed", metavar="DATABASE", help=_LIVE)
@click.option("--dry-run", is_flag=True, help="Say what would come back; change nothing.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def unpurge(
    run: int,
    where: str | None,
    is_held: bool,
    confirmed: str | None,
    dry_run: bool,
    wait: bool,
    is_json: bool,
) -> int:
    """Bring back the rows that purge RUN took, each as it was, with its id."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        dataset = restoring.purged_dataset(conn, run)
        database = _confirmed(conn, confirmed, dry_run)
    wish = Wish(PURGE, str(run), dataset, _condition(where, dataset), LIVE, database, is_held)
    return _order(job_named("lifecycle.unpurge"), _noted(wish), dry_run, wait, is_json)


def _condition(where: str | None, dataset: str | None) -> str | None:
    if where is None:
        return None
    if dataset is None:
        raise click.UsageError("--where is about one table: name it with --table")
    condition = (sys.stdin.read() if where == "-" else where).strip()
    if not condition:
        raise ConfigError("--where: the condition is empty")
    return condition


def _confirmed(conn: Connection, confirmed: str | None, dry_run: bool) -> str:
    """Return the live database's name, where the person named it or nothing of anybody's is at stake."""
    here: str = conn.execute(text("select current_database()")).scalar_one()
    conn.rollback()
    if confirmed is None and (dry_run or runtime.is_embedded()):
        return here
    if confirmed != here:
        raise PolicyRefused(
            f"this writes to the configured database {here}; say --yes-into-live {here} if that is meant, "
            "or look with --dry-run first"
        )
    return here


def _noted(wish: Wish) -> int:
    with runtime.engine("cli", with_redis=False).begin() as conn:
        return restoring.wish(conn, wish, requested_by=who())


def _order(job: Job[Any, Any], request: int, dry_run: bool, wait: bool, is_json: bool) -> int:
    window = chosen_window(job.cadence, None)
    order = job.order({"request": request}, window, is_dry=dry_run, requested_by=who())
    if not wait:
        return told(place([order]), is_json)
    with workers():
        found = follow([one.run_id for one in place([order])], quiet=is_json)
    if is_json:
        as_json(found)
    else:
        console().print(runs_table(found))
        _say_returned(found[0]["evidence"])
    return 0 if found[0]["state"] == "done" else 1


def _say_returned(evidence: dict[str, Any] | None) -> None:
    """Print the table of what came back and what did not, and why."""
    columns = ("rows", "inserted", "present", "conflicts", "orphans", "erased")
    table = plain_table("dataset", *columns, "keys in conflict", right=frozenset(columns))
    returned = [one for one in (evidence or {}).get("returned", []) if one["rows"] or one["erased"]]
    for one in returned:
        keys = ", ".join(map(str, one["conflict_keys"]))
        more = " …" if one["conflicts"] > len(one["conflict_keys"]) else ""
        table.add_row(one["dataset"], *(f"{one[name]:,}" for name in columns), keys + more)
    if returned:
        console().print(table)


def _restore_here(request: int, dry_run: bool, is_json: bool) -> int:
    """Restore in this process: a scratch server of this machine is no use on a worker's."""
    job = job_named("lifecycle.restore")
    report = run_here(job, {"request": request, "dry_run": dry_run}, requested_by=who())
    home, name = runtime.settings().home, f"restore-{request}"
    if is_json:
        url_file = None if dry_run else str(servers.url_file(home, name))
        as_json({"rows": report.rows, "summary": report.summary, "url_file": url_file})
        return 0
    click.echo(report.summary)
    if not dry_run:
        click.echo(f"it is up; its URL stands in {servers.url_file(home, name)}")
        click.echo(f"ocd scratch drop {name} removes it with all that is in it")
    return 0


@click.group(epilog="Example: ocd scratch drop restore-3")
def scratch() -> None:
    """Look after the servers that `ocd restore --into scratch` leaves up."""


@scratch.command("list", epilog="Example: ocd scratch list")
@json_option
def list_servers(is_json: bool) -> None:
    """List scratch servers, and where the URL of each stands."""
    found = servers.kept(runtime.configured().home)
    if is_json:
        as_json(
            [
                {"name": one.name, "url_file": one.url_file, "is_running": one.is_running}
                for one in found
            ]
        )
        return
    for one in found:
        state = "up" if one.is_running else "down"
        click.echo(f"{one.name}  {state}  {one.url_file}")
    if not found:
        click.echo("no scratch server is kept")


@scratch.command(epilog="Example: ocd scratch drop restore-3")
@click.argument("name")
def drop(name: str) -> None:
    """Stop a scratch server and remove it with everything that was restored into it."""
    servers.drop(runtime.configured().home, name)
    click.echo(f"{name} is gone")
