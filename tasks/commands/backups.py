"""Commands of backups: `ocd backups`, `ocd backups show ID`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click
from sqlalchemy import Connection

from ocd.core.db import now_of
from ocd.core.errors import ConfigError
from ocd.lifecycle import manifest
from ocd.lifecycle import rotate as rotation
from ocd.lifecycle.manifest import Manifest
from tasks import runtime
from tasks.commands.look import json_option
from tasks.job import store_of
from tasks.lifecycle import rotation_of
from tasks.render import as_json, console, plain_table

#: What each level of proof means.
LEVELS = {0: "damaged", 1: "read", 2: "unpacked", 3: "restored", 4: "content equal"}


@click.group(invoke_without_command=True, epilog="Example: ocd backups show 41")
@json_option
@click.pass_context
def backups(context: click.Context, is_json: bool) -> None:
    """List backups, newest first: how well proved, how long a restore took, why each stays."""
    if context.invoked_subcommand is not None:
        return
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found, now = _listed(conn), now_of(conn)
    if is_json:
        as_json(found)
        return
    if not found:
        click.echo("there is no backup; `ocd run lifecycle.backup` makes one")
        return
    numbers = frozenset({"id", "run", "age", "size", "tables", "rows", "restore"})
    table = plain_table(
        "id", "run", "taken", "age", "proof", "size", "tables", "rows", "restore", "stays", "until",
        right=numbers,
    )  # fmt: skip
    for one in found:
        table.add_row(*_cells(one, now))
    console().print(table)


@backups.command(epilog="Example: ocd backups show 41 --json")
@click.argument("number", metavar="ID", type=int)
@json_option
def show(number: int, is_json: bool) -> None:
    """Show what a backup holds, as its signed manifest says."""
    settings = runtime.settings(with_redis=False)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        row = next((one for one in _listed(conn) if one["id"] == number), None)
    if row is None:
        raise ConfigError(f"there is no backup {number}; see `ocd backups`")
    found = manifest.read(store_of(settings), row["manifest"], settings.signing_keys())
    if is_json:
        as_json(row | {"contents": _contents(found)})
        return
    click.echo(f"backup {number}  run {row['run_id']}  window {row['window_label']}  {_proof(row)}")
    click.echo(f"  {store_of(settings).describe(row['manifest'])}")
    click.echo(
        f"  snapshot {found.snapshot_at:%Y-%m-%d %H:%M:%S}Z  revision {found.schema_revision}"
        f"  PostgreSQL {found.server_version}"
        f"  {'encrypted for ' + ', '.join(found.sealed_for) if found.sealed_for else 'not encrypted'}"
    )
    table = plain_table(
        "table", "rows", "raw", "stored", "oldest", "newest",
        right=frozenset({"rows", "raw", "stored"}),
    )  # fmt: skip
    for part in found.parts:
        table.add_row(
            part.dataset,
            f"{part.rows:,}",
            _size(part.raw_bytes),
            _size(part.stored_bytes),
            (part.oldest or "")[:10],
            (part.newest or "")[:10],
        )
    console().print(table)


def _listed(conn: Connection) -> list[dict[str, Any]]:
    stays = rotation.reasons(conn, rotation_of(runtime.settings(with_redis=False)), now_of(conn))
    return [one | {"stays": list(stays.get(one["id"], ()))} for one in rotation.list_backups(conn)]


def _cells(one: dict[str, Any], now: datetime) -> tuple[str, ...]:
    return (
        str(one["id"]),
        str(one["run_id"]),
        f"{one['taken_at']:%Y-%m-%d %H:%M}Z",
        _age(now - one["taken_at"]),
        _proof(one),
        _size(one["stored_bytes"]),
        str(one["tables"]),
        f"{one['rows']:,}",
        "" if one["restore_s"] is None else f"{one['restore_s']:.1f} s",
        ", ".join(one["stays"]) or "[yellow]goes next[/]",
        f"{one['expires_at']:%Y-%m-%d}",
    )


def _proof(one: dict[str, Any]) -> str:
    if one["verified_at"] is None:
        return "not verified"
    if not one["is_equal"]:
        return "DAMAGED"
    return f"L{one['level']} {LEVELS[one['level']]}"


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def _contents(found: Manifest) -> dict[str, Any]:
    return {
        "snapshot_at": found.snapshot_at,
        "schema_revision": found.schema_revision,
        "server_version": found.server_version,
        "sealed_for": list(found.sealed_for),
        "parts": {
            part.dataset: {
                "rows": part.rows,
                "raw_bytes": part.raw_bytes,
                "stored_bytes": part.stored_bytes,
                "oldest": part.oldest,
                "newest": part.newest,
            }
            for part in found.parts
        },
    }
