"""`ocd quality cleanse`: plan what is to be mended, apply exactly that, take it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.markup import escape

from ocd.datasets.registry import dataset as dataset_named
from ocd.quality.cleanse import plan as plans
from ocd.quality.cleanse.fixes import chosen
from ocd.quality.cleanse.plan import Sample
from ocd.quality.cleanse.policy import CleansingPlan, asks
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import chosen_window, follow_to_end, told, who, workers
from tasks.job import Job
from tasks.publish import place
from tasks.quality import cleanse as applying
from tasks.quality import revert_cleansing
from tasks.render import as_json, console, plain_table

_dry_option = click.option("--dry-run", is_flag=True, help="Show what it would do; change nothing.")
_wait_option = click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Follow it to its end."
)


@click.group(epilog="Example: ocd quality cleanse plan chatwoot_conversations")
def cleanse() -> None:
    """Mend values that are written wrong: plan, apply, revert."""


@cleanse.command(
    epilog="Example: ocd quality cleanse plan shopify_orders --fix shopify_orders.currency.upper"
)
@click.argument("table")
@click.option("--fix", "ids", multiple=True, help="Only this one; may be given again.")
@json_option
def plan(table: str, ids: tuple[str, ...], is_json: bool) -> None:
    """Count what would be mended, show some of it, and print the hash to apply it by.

    Changes nothing. Of columns with personal data only the shape of values is shown.
    """
    fixes = chosen(dataset_named(table), ids)
    with runtime.engine("cli", with_redis=False).begin() as conn:
        found = plans.plan(conn, fixes)
        shown = plans.samples(conn, fixes) if found.rows else ()
        if found.rows:
            plans.keep(conn, found, planned_by=who())
    if is_json:
        as_json(plans.described(found) | {"samples": [asdict(one) for one in shown]})
    else:
        _show(found, shown)


@cleanse.command(epilog="Example: ocd quality cleanse apply 5f0c2b9d41e7a683")
@click.argument("plan_hash", metavar="HASH")
@_dry_option
@_wait_option
@json_option
def apply(plan_hash: str, dry_run: bool, wait: bool, is_json: bool) -> int:
    """Mend exactly what a plan says, every old value kept for 30 days.

    Refused where rows of the plan changed since; asks for approval above its limits.
    """
    return _order(applying, {"plan": plan_hash}, dry_run, wait, is_json)


@cleanse.command(epilog="Example: ocd quality cleanse revert 412 --dry-run")
@click.argument("run", type=int)
@_dry_option
@_wait_option
@json_option
def revert(run: int, dry_run: bool, wait: bool, is_json: bool) -> int:
    """Give the rows that a run mended their old values back.

    A row whose mended values were changed since is left alone and listed.
    """
    return _order(revert_cleansing, {"of_run": run}, dry_run, wait, is_json)


def _order(
    job: Job[Any, Any], params: dict[str, Any], is_dry: bool, wait: bool, is_json: bool
) -> int:
    window = chosen_window(job.cadence, None)
    order = job.order(params, window, is_dry=is_dry, requested_by=who())
    if not wait:
        return told(place([order], retry_ended=True, force=True), is_json)
    with workers():
        placed = place([order], retry_ended=True, force=True)
        return follow_to_end([one.run_id for one in placed], is_json)


def _show(found: CleansingPlan, samples: tuple[Sample, ...]) -> None:
    if not found.rows:
        click.echo(f"{found.dataset}: {found.of_rows:,} rows, nothing to mend")
        return
    counts = plain_table("fix", "rows", right=frozenset({"rows"}))
    for name, rows in found.counts.items():
        if rows:
            counts.add_row(name, f"{rows:,}")
    console().print(counts)
    examples = plain_table("row", "column", "before", "after", right=frozenset({"row"}))
    for one in samples:
        examples.add_row(
            str(one.key), one.column, escape(one.before or ""), escape(one.after or "")
        )
    console().print(examples)
    click.echo(f"{found.rows:,} of {found.of_rows:,} rows; nothing was changed")
    consent = "; somebody has to approve it" if asks(found) else ""
    click.echo(f"apply it with: ocd quality cleanse apply {found.hash}{consent}")
