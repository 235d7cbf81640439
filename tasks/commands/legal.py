"""Commands of legal holds: `ocd hold place | release | list`."""

from __future__ import annotations

import click

from ocd.core.errors import ConfigError
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import holds
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import who
from tasks.render import as_json


@click.group(epilog='Example: ocd hold place agent_queries --conversation 1042 --reason "case 7"')
def hold() -> None:
    """Keep rows from every purge until the hold is released."""


@hold.command(epilog='Example: ocd hold place agent_queries --conversation 1042 --reason "case 7"')
@click.argument("dataset")
@click.option("--conversation", help="Only rows of this conversation. Default: every row.")
@click.option("--reason", required=True, help="Why, for whoever finds it.")
@json_option
def place(dataset: str, conversation: str | None, reason: str, is_json: bool) -> None:
    """Hold a dataset, or the rows of one conversation in it."""
    facts = dataset_named(dataset)
    if conversation and not any(one.name == "conversation_id" for one in facts.columns):
        raise ConfigError(f"{dataset} knows no conversations; hold it whole")
    with runtime.engine("cli", with_redis=False).begin() as conn:
        number = holds.place(conn, dataset, conversation, reason=reason, placed_by=who())
    what = f"conversation {conversation} in {dataset}" if conversation else f"all of {dataset}"
    as_json({"hold": number}) if is_json else click.echo(f"hold {number}: {what} is kept")


@hold.command(epilog="Example: ocd hold release 3")
@click.argument("number", type=int)
def release(number: int) -> None:
    """Let a hold go; the next purge takes what is past its time."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        holds.release(conn, number, released_by=who())
    click.echo(f"hold {number} is released")


@hold.command("list", epilog="Example: ocd hold list --all")
@click.option("--all", "with_released", is_flag=True, help="Released ones as well.")
@json_option
def list_holds(with_released: bool, is_json: bool) -> None:
    """List holds: what is kept, why, since when, by whom."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = holds.holds(conn, with_released=with_released)
    if is_json:
        as_json(found)
        return
    for one in found:
        what = one["conversation_id"] or "every row"
        ended = f", released {one['released_at']:%Y-%m-%d}" if one["released_at"] else ""
        click.echo(
            f"{one['id']}  {one['dataset']}  {what}  since {one['placed_at']:%Y-%m-%d} "
            f"by {one['placed_by']}{ended}: {one['reason']}"
        )
    if not found:
        click.echo("nothing is held")
