"""Commands of legal holds: `ocd hold place | release | list`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from ocd.core.errors import ConfigError
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import holds
from ocd.ledger.holds import Held
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import who
from tasks.render import as_json

DAY = click.DateTime(["%Y-%m-%d"])


@click.group(epilog='Example: ocd hold place agent_queries --conversation 1042 --reason "case 7"')
def hold() -> None:
    """Keep rows from every purge until the hold is released."""


@hold.command(epilog='Example: ocd hold place agent_queries --conversation 1042 --reason "case 7"')
@click.argument("dataset")
@click.option("--conversation", help="Only rows of this conversation.")
@click.option("--customer", help="Only rows of this customer.")
@click.option("--from", "held_from", type=DAY, help="Only rows of this day (UTC) or later.")
@click.option("--until", "held_until", type=DAY, help="Only rows before this day (UTC).")
@click.option("--reason", required=True, help="Why, for whoever finds it.")
@json_option
def place(dataset: str, reason: str, is_json: bool, **which: Any) -> None:
    """Hold rows of a dataset: those that fit every option, without any every row.

    DATASET may be `all` for every table that knows the conversation or customer.
    """
    held = _held(**which)
    with runtime.engine("cli", with_redis=False).begin() as conn:
        placed = {
            facts.name: holds.place(conn, facts, held, reason=reason, placed_by=who())
            for facts in _chosen(dataset, held)
        }
    if is_json:
        as_json([{"hold": number, "dataset": name} for name, number in placed.items()])
        return
    for name, number in placed.items():
        click.echo(f"hold {number}: {held} of {name} is kept")


def _held(
    conversation: str | None,
    customer: str | None,
    held_from: datetime | None,
    held_until: datetime | None,
) -> Held:
    start, end = (at and at.replace(tzinfo=UTC) for at in (held_from, held_until))
    if start and end and start >= end:
        raise ConfigError("--until: must be later than --from")
    return Held(conversation, customer, start, end)


def _chosen(name: str, held: Held) -> list[Dataset]:
    if name != "all":
        return [dataset_named(name)]
    named = [
        names
        for value, names in (
            (held.conversation_id, holds.CONVERSATION),
            (held.customer_id, holds.CUSTOMER),
        )
        if value
    ]
    if not named:
        raise ConfigError("all: name a conversation or a customer, or hold tables one by one")
    return [one for one in DATASETS if all(holds.column_of(one, names) for names in named)]


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
        what = holds.of_row(one)
        ended = f", released {one['released_at']:%Y-%m-%d}" if one["released_at"] else ""
        click.echo(
            f"{one['id']}  {one['dataset']}  {what}  since {one['placed_at']:%Y-%m-%d} "
            f"by {one['placed_by']}{ended}: {one['reason']}"
        )
    if not found:
        click.echo("nothing is held")
