"""Commands that keep beat from ordering: pause, resume."""

from __future__ import annotations

import click

from ocd.core.errors import UnknownName
from ocd.ledger import pauses
from tasks import registry, runtime
from tasks.commands.look import json_option
from tasks.commands.order import who
from tasks.flows import FLOWS
from tasks.render import as_json


def _name(given: str | None, is_all: bool) -> str:
    """Return what the ledger calls it: a job, `flow.<name>` for a flow, `*` for everything."""
    if (given is None) != is_all:
        raise click.UsageError("name one job or flow, or --all")
    if given is None:
        return pauses.ALL
    flows = {flow.name: f"flow.{flow.name}" for flow in FLOWS}
    known = set(registry.JOBS) | set(flows) | set(flows.values())
    if given not in known:
        raise UnknownName("job or flow", given, known)
    return flows.get(given, given)


@click.command(epilog='Example: ocd pause lifecycle.purge --reason "legal asks to wait"')
@click.argument("name", required=False)
@click.option("--all", "is_all", is_flag=True, help="Everything that beat orders.")
@click.option("--reason", required=True, help="Why, for whoever finds it paused.")
@json_option
def pause(name: str | None, is_all: bool, reason: str, is_json: bool) -> None:
    """Keep beat from ordering a job, a flow or everything; what is queued and what people order goes on."""
    chosen = _name(name, is_all)
    with runtime.engine("cli", with_redis=False).begin() as conn:
        pauses.pause(conn, chosen, reason=reason, paused_by=who())
        found = pauses.pauses(conn)
    if is_json:
        as_json(found)
        return
    click.echo(
        f"{'everything' if chosen == pauses.ALL else chosen} is paused; `ocd resume "
        f"{'--all' if chosen == pauses.ALL else name}` goes on, and makes up for what each job's catch-up covers"
    )


@click.command(epilog="Example: ocd resume lifecycle.purge")
@click.argument("name", required=False)
@click.option("--all", "is_all", is_flag=True, help="Everything that is paused.")
@json_option
def resume(name: str | None, is_all: bool, is_json: bool) -> None:
    """Let beat order again; missed windows are made up for by each job's catch-up policy."""
    chosen = _name(name, is_all)
    with runtime.engine("cli", with_redis=False).begin() as conn:
        names = pauses.resume(conn, None if chosen == pauses.ALL else chosen)
    if is_json:
        as_json({"resumed": names})
    else:
        click.echo(f"resumed: {', '.join(names)}" if names else "nothing was paused")
