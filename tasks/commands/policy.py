"""Commands of retention policy: `ocd policy list | set | unset`."""

from __future__ import annotations

from typing import Any

import click

from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import retention
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import who
from tasks.render import as_json, console, plain_table


@click.group(
    epilog='Example: ocd policy set agent_feedback unsafe --days 365 --reason "audit until summer"'
)
def policy() -> None:
    """Keep rows longer than their rules say; shorter is not possible here."""


@policy.command("list", epilog="Example: ocd policy list agent_feedback")
@click.argument("dataset", required=False)
@json_option
def list_policy(dataset: str | None, is_json: bool) -> None:
    """List every rule of every dataset: how long rows are kept, and who lengthened that."""
    chosen = [dataset_named(dataset)] if dataset else [one for one in DATASETS if one.retention]
    with runtime.engine("cli", with_redis=False).connect() as conn:
        rows = {(one["dataset"], one["rule"]): one for one in retention.policy_rows(conn)}
    found = [line for one in chosen for line in _lines(one, rows)]
    if is_json:
        as_json(found)
        return
    table = plain_table("dataset", "rule", "days", "after", "lengthened", right=frozenset({"days"}))
    for line in found:
        table.add_row(
            line["dataset"],
            line["rule"],
            "ever" if line["keep_days"] is None else str(line["keep_days"]),
            line["since"],
            f"from {line['own_days']} by {line['set_by']}: {line['reason']}"
            if line["set_by"]
            else "",
        )
    console().print(table)


def _lines(dataset: Dataset, rows: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for rule in dataset.retention.rules if dataset.retention else ():
        row = rows.get((dataset.name, rule.name), {})
        own = None if rule.keep is None else rule.keep.days
        lines.append(
            {
                "dataset": dataset.name,
                "rule": rule.name,
                "where": rule.where,
                "since": rule.since,
                "own_days": own,
                "keep_days": None if own is None else max(own, row.get("keep_days", own)),
                "set_by": row.get("set_by"),
                "set_at": row.get("set_at"),
                "reason": row.get("reason"),
            }
        )
    return lines


@policy.command(
    "set",
    epilog='Example: ocd policy set agent_feedback unsafe --days 365 --reason "audit until summer"',
)
@click.argument("dataset")
@click.argument("rule")
@click.option(
    "--days", type=int, required=True, help="Days to keep the rule's rows; not below its own."
)
@click.option("--reason", required=True, help="Why, for whoever reads it later.")
@json_option
def set_policy(dataset: str, rule: str, days: int, reason: str, is_json: bool) -> None:
    """Keep the rows of a rule longer; the next purge heeds it, and so does one that runs."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        retention.lengthen(conn, dataset_named(dataset), rule, days, reason=reason, set_by=who())
    if is_json:
        as_json({"dataset": dataset, "rule": rule, "keep_days": days})
    else:
        click.echo(f"{dataset}: rows of rule {rule} are kept {days} days")


@policy.command("unset", epilog="Example: ocd policy unset agent_feedback unsafe")
@click.argument("dataset")
@click.argument("rule")
@json_option
def unset_policy(dataset: str, rule: str, is_json: bool) -> None:
    """Let a rule's own period count again; the next purge deletes what is past that."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        retention.restore(conn, dataset_named(dataset), rule, unset_by=who())
    if is_json:
        as_json({"dataset": dataset, "rule": rule})
    else:
        click.echo(
            f"{dataset}: rule {rule} keeps its own days again; see `ocd purge plan {dataset}`"
        )
