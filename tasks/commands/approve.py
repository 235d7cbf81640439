"""Commands that let a refused run go on: approve, approvals."""

from __future__ import annotations

import click

from ocd.ledger import approvals as questions
from ocd.ledger import enqueue
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import follow_to_end, told, who, workers
from tasks.publish import publish_all
from tasks.render import as_json


@click.command(
    epilog='Example: ocd approve 12 --reason "first purge of three years, agreed with legal"'
)
@click.argument("run", type=int)
@click.option("--reason", required=True, help="Why, for whoever reads the ledger later.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def approve(run: int, reason: str, wait: bool, is_json: bool) -> int:
    """Say yes to what a refused run asks for, and take it up again.

    Whoever ordered the run cannot approve it, except on this clone's own servers.
    """
    with runtime.engine().begin() as conn:
        given = questions.approve(
            conn, run, reason=reason, approved_by=who(), may_be_same=runtime.is_embedded()
        )
        # Still the run of whoever ordered it: the next question is for a second person, too.
        placed = enqueue.rerun(conn, run, force=False, requested_by=given["requested_by"])
    if not is_json:
        click.echo(f"approved: {given['question']}", err=True)
    ready = [placed.run_id] if placed.is_ready else []
    if not wait:
        publish_all(ready)
        return told([placed], is_json)
    with workers():
        publish_all(ready)
        return follow_to_end([run], is_json)


@click.command(epilog="Example: ocd approvals --all")
@click.option("--all", "with_given", is_flag=True, help="Given ones as well.")
@json_option
def approvals(with_given: bool, is_json: bool) -> None:
    """List what runs ask for, and who said yes to what."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = questions.approvals(conn, with_given=with_given)
    if is_json:
        as_json(found)
        return
    for one in found:
        answer = (
            f"approved by {one['approved_by']} on {one['approved_at']:%Y-%m-%d}: {one['reason']}"
            if one["approved_at"]
            else f"open; `ocd approve {one['run_id']} --reason …` lets it go on"
        )
        click.echo(
            f"run {one['run_id']}  {one['job']}  {one['window_label']}  {one['question']}  ({answer})"
        )
    if not found:
        click.echo("nothing is asked")
