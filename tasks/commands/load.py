"""`ocd load`: bring decisions and telemetry along from files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from ocd.core.db import redacted
from ocd.sources.decisions.load import load as load_records
from ocd.sources.decisions.read import records
from tasks import runtime
from tasks.commands.look import json_option
from tasks.render import as_json


@click.command(epilog="Example: ocd load decisions.ndjson telemetry.ndjson")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
def load(files: tuple[Path, ...], is_json: bool) -> None:
    """Load decisions, decision syncs and heartbeats from JSON files, each record once.

    All files or none: a record of an unknown shape is refused by line and key.
    """
    found = [
        record for file in files for record in records(file.read_text(encoding="utf-8"), file.name)
    ]
    try:
        with runtime.engine("cli", with_redis=False).begin() as conn:
            report = load_records(conn, found)
    except DBAPIError as error:
        raise redacted(error) from error
    as_json(asdict(report)) if is_json else click.echo(report.summary)
