"""`ocd quality completeness`: what each day brought, against what was expected."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import click

from ocd.datasets.registry import dataset as dataset_named
from ocd.quality.completeness import Hour, by_day, history, null_shares
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, console, plain_table

#: Columns that a line names, those with most nulls first.
WORST = 3


@click.command(epilog="Example: ocd quality completeness agent_queries --days 30")
@click.argument("table")
@click.option(
    "--days", default=14, show_default=True, type=click.IntRange(min=1), help="So many days back."
)
@json_option
def completeness(table: str, days: int, is_json: bool) -> None:
    """Show what each day brought to a table, what was expected, and which columns lack values.

    Kept by `quality.completeness` every day; `ocd backfill` counts past days whose rows are still there.
    """
    facts = dataset_named(table)
    now = runtime.now("cli", with_redis=False)
    zone = runtime.configured().zone()
    with runtime.engine("cli", with_redis=False).connect() as conn:
        hours = history(conn, facts, since=now - timedelta(days=days + 1), until=now)
    found = [_day(day, of_day) for day, of_day in by_day(hours, zone).items()][-days:]
    if is_json:
        as_json(found)
        return
    if not found:
        click.echo(
            f"nothing is kept of {table} yet; `ocd run quality.completeness` counts the last day"
        )
        return
    _show(found)


def _day(day: date, hours: list[Hour]) -> dict[str, Any]:
    known = [one.expected for one in hours if one.expected is not None]
    return {
        "day": day.isoformat(),
        "seen": sum(one.seen for one in hours),
        "expected": round(sum(known)) if len(known) == len(hours) else None,
        "short_hours": sum(one.is_short for one in hours),
        "nulls": {name: round(share, 4) for name, share in null_shares(hours).items()},
    }


def _show(found: list[dict[str, Any]]) -> None:
    numbers = frozenset({"seen", "expected", "short hours"})
    table = plain_table("day", "seen", "expected", "short hours", "nulls", right=numbers)
    for one in found:
        worst = sorted(one["nulls"].items(), key=lambda item: -item[1])[:WORST]
        table.add_row(
            one["day"],
            f"{one['seen']:,}",
            "" if one["expected"] is None else f"{one['expected']:,}",
            str(one["short_hours"] or ""),
            ", ".join(f"{name} {share:.0%}" for name, share in worst if share),
        )
    console().print(table)
