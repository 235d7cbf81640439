"""`ocd quality profile`: what the columns of a table or file hold, in aggregates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from sqlalchemy import Connection

from ocd.core.errors import ConfigError
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.quality.profile.columns import TableProfile
from ocd.quality.profile.drift import Drift, compare
from ocd.quality.profile.files import READERS, profile_file
from ocd.quality.profile.keep import newest
from ocd.quality.profile.measure import measure
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, console, plain_table

#: What the table shows of a column's stats, in this order; the rest is in the JSON.
_SHOWN = ("min", "max", "mean", "sd", "p50", "true", "bytes_mean", "top")


@click.command(epilog="Example: ocd quality profile agent_queries")
@click.argument("what", metavar="TABLE|FILE")
@click.option("--dataset", help="Whose facts say which columns of a file hold personal data.")
@json_option
def profile(what: str, dataset: str | None, is_json: bool) -> None:
    """Profile a table in one scan, or a Parquet, CSV or JSON-lines file.

    Leaves no trace; `ocd run quality.profile` keeps the profiles of all tables. No value of a column
    with personal data is shown.
    """
    path = Path(what)
    if path.suffix in READERS or "/" in what:
        _profile_file(path, dataset_named(dataset) if dataset else None, is_json)
    elif dataset:
        raise ConfigError("--dataset is for files; a table's facts are known")
    else:
        _profile_table(dataset_named(what), is_json)


def _profile_table(facts: Dataset, is_json: bool) -> None:
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found, drifts = look(conn, facts)
    if is_json:
        as_json(asdict(found) | {"drifts": [asdict(one) for one in drifts]})
        return
    table = plain_table("column", "nulls", "distinct", "what it holds", right=frozenset({"nulls"}))
    for one in found.columns:
        table.add_row(
            one.name,
            f"{one.null_share:.1%}",
            f"{one.stats['distinct']:,}" if "distinct" in one.stats else "",
            escape(_told(one.stats)),
        )
    console().print(table)
    click.echo(f"{found.rows:,} rows")
    if not any("distinct" in one.stats for one in found.columns) and found.rows:
        click.echo("never analysed: distinct and common values are not known yet (`analyze` it)")
    for drift in drifts:
        click.echo(drift.text)


def look(conn: Connection, facts: Dataset) -> tuple[TableProfile, tuple[Drift, ...]]:
    """Return the profile now, and what changed since the newest kept one."""
    found = measure(conn, facts, now=runtime.now("cli", with_redis=False))
    before = newest(conn, facts)
    return found, compare(before, found) if before else ()


def _profile_file(path: Path, facts: Dataset | None, is_json: bool) -> None:
    found = profile_file(path, facts)
    if is_json:
        as_json({"file": path.name, "columns": [asdict(one) for one in found]})
        return
    table = plain_table("column", "type", "nulls", "distinct", "what it holds")
    for one in found:
        table.add_row(
            escape(one.name),
            one.type,
            f"{one.null_share:.1%}",
            f"{one.distinct:,}",
            _told(one.stats),
        )
    console().print(table)
    click.echo(f"{found[0].rows if found else 0:,} rows")


def _told(stats: Mapping[str, Any]) -> str:
    names = [name for name in _SHOWN if name in stats] or [
        name for name in stats if name != "distinct"
    ]
    return ", ".join(
        f"{name} {_short(stats[name])}" for name in names if stats[name] not in ([], None)
    )


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(f"{one} {share:.0%}" for one, share in value[:5])
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
