"""`ocd db audit`: what is not as it was meant to be, on the spot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import click
from rich.markup import escape
from rich.table import Table

from ocd.database import audit as audits
from ocd.database.checks import CHECKS
from ocd.database.findings import Finding, Severity
from ocd.database.stack import stack_of
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, console

_COLOURS = {Severity.ERROR: "red", Severity.WARN: "yellow", Severity.INFO: "dim"}


@click.command(epilog="Example: ocd db audit --fail-on warn")
@click.option(
    "--fail-on",
    type=click.Choice([one.value for one in Severity]),
    default=Severity.ERROR.value,
    show_default=True,
    help="Exit with 1 when something at least this bad is found.",
)
@json_option
def audit(fail_on: str, is_json: bool) -> int:
    """Look for what is not as it was meant to be.

    Leaves no trace; `ocd run database.audit` keeps evidence and opens incidents.
    """
    stack = stack_of(runtime.settings(with_redis=False))
    now = runtime.now("cli", with_redis=False)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = audits.look(conn, now=now, stack=stack)
    as_json([asdict(one) for one in found]) if is_json else _show(found)
    order = list(Severity)
    return int(any(order.index(one.severity) >= order.index(Severity(fail_on)) for one in found))


def _show(found: list[Finding]) -> None:
    if not found:
        click.echo(f"{len(CHECKS)} checks, nothing found")
        return
    console().print(_table(found))
    named = {one.check for one in found}
    for check in CHECKS:
        if check.name in named:
            click.echo(f"{check.name}: {check.mend}")


def _table(found: Iterable[Finding]) -> Table:
    table = Table("severity", "check", "object", "what", box=None, pad_edge=False)
    for one in found:
        colour = _COLOURS[one.severity]
        table.add_row(
            f"[{colour}]{one.severity}[/]", one.check, escape(one.object), escape(one.detail)
        )
    return table
