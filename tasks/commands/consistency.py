"""`ocd quality consistency`: what tables say of each other, and whether a copy equals its table."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from ocd.core.db import redacted, sqlalchemy_url
from ocd.core.errors import ConfigError, UnknownName
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.quality import consistency as checks
from ocd.quality.bisect import Differences, Side, compare
from ocd.quality.references import RECONCILIATIONS, REFERENCES
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json, console, plain_table

#: Keys that a line of text names; JSON has all.
SHOWN_KEYS = 10


@click.group(epilog="Example: ocd quality consistency history")
def consistency() -> None:
    """See whether tables agree with each other, and a copy with its table."""


@consistency.command(epilog="Example: ocd quality consistency history --check lines.order")
@click.option("--check", "name", help="One check's past. Default: the newest of each.")
@json_option
def history(name: str | None, is_json: bool) -> None:
    """Show what `quality.consistency` found: orphans per reference, figures that disagree."""
    known = [one.name for one in (*REFERENCES, *RECONCILIATIONS)]
    if name and name not in known and not name.startswith("copy."):
        raise UnknownName("check", name, known)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = checks.history(conn, name)
    if is_json:
        as_json(found)
        return
    if not found:
        click.echo("nothing is kept yet; `ocd run quality.consistency` checks now")
        return
    table = plain_table("check", "at", "compared", "broken", "keys or figures")
    for one in found:
        table.add_row(
            one["check_name"],
            f"{one['checked_at']:%Y-%m-%d %H:%M}",
            f"{one['checked']:,}",
            f"{one['broken']:,}",
            _detail(one),
        )
    console().print(table)


@consistency.command(
    epilog="Example: ocd quality consistency diff agent_queries --copy-url-file restored.url"
)
@click.argument("table")
@click.option("--copy", "copy_table", help="Table that holds the copy. Default: of the same name.")
@click.option(
    "--copy-url-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the URL of the database that holds it. Default: the same database.",
)
@json_option
def diff(table: str, copy_table: str | None, copy_url_file: Path | None, is_json: bool) -> int:
    """Find the rows in which a table and its copy differ, by hashes of ever smaller key ranges.

    Reads both in one snapshot each; ends with 1 where they differ. A URL on the command line would
    show in process lists, so it comes from a file.
    """
    facts = dataset_named(table)
    if copy_table is None and copy_url_file is None:
        raise ConfigError("say where the copy is: --copy schema.table, --copy-url-file, or both")
    if copy_table and "." not in copy_table:
        raise ConfigError("--copy: name it with its schema, such as public.agent_queries_restored")
    try:
        found = _compared(facts, copy_table, copy_url_file)
    except DBAPIError as error:
        raise redacted(error) from error
    as_json(asdict(found)) if is_json else _show(facts, found)
    return int(found.count > 0)


def _compared(facts: Dataset, copy_table: str | None, url_file: Path | None) -> Differences:
    now = runtime.now("cli", with_redis=False)
    with ExitStack() as stack:
        conn = stack.enter_context(runtime.engine("cli", with_redis=False).connect())
        other = stack.enter_context(_connected(url_file)) if url_file else conn
        for one in {conn, other}:
            one.execute(text("set transaction isolation level repeatable read read only"))
            one.execute(text("set local row_security = off"))
        found = compare(Side.of(conn, facts), Side.of(other, facts, table=copy_table))
        conn.rollback()
        checks.keep(conn, _checked(facts, found), run_id=None, now=now)
        conn.commit()
    return found


def _connected(url_file: Path) -> Connection:
    try:
        url = sqlalchemy_url(url_file.read_text(encoding="utf-8").strip())
    except (ArgumentError, UnicodeDecodeError) as error:
        raise ConfigError(f"{url_file}: expected a URL such as postgresql://…") from error
    return create_engine(url, poolclass=NullPool, hide_parameters=True).connect()


def _checked(facts: Dataset, found: Differences) -> checks.Checked:
    keys = sorted([*found.missing, *found.added, *found.changed])
    return checks.Checked(
        f"copy.{facts.name}", found.rows, found.count, tuple(keys[: checks.SAMPLE_KEYS])
    )


def _show(facts: Dataset, found: Differences) -> None:
    if not found.count:
        click.echo(f"{facts.name}: {found.rows:,} rows, equal; {found.hashes} ranges hashed")
        return
    more = "" if found.is_all else " or more"
    click.echo(
        f"{facts.name}: {found.count:,}{more} of {found.rows:,} rows differ; {found.hashes} ranges hashed"
    )
    for what, keys in (
        ("only in the table", found.missing),
        ("only in the copy", found.added),
        ("changed", found.changed),
    ):
        if keys:
            said = ", ".join(map(str, keys[:SHOWN_KEYS]))
            click.echo(f"{what}: {len(keys):,} ({said}{', …' if len(keys) > SHOWN_KEYS else ''})")
    ranges = ", ".join(f"{low}-{high}" for low, high in found.ranges[:SHOWN_KEYS])
    click.echo(f"key ranges: {ranges}{', …' if len(found.ranges) > SHOWN_KEYS else ''}")


def _detail(one: dict[str, Any]) -> str:
    if not one["broken"]:
        return ""
    keys = ", ".join(map(str, one["sample_keys"]))
    figures = [
        f"{name} {sides[0]} ≠ {sides[1]}"
        for name, sides in one["figures"].items()
        if sides[0] != sides[1]
    ]
    return keys or ", ".join(figures)
