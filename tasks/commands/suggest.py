"""`ocd quality suggest`: rules that a table's rows meet, for a person to accept."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from ocd.core.errors import ConfigError, UnknownName
from ocd.datasets.registry import dataset as dataset_named
from ocd.quality import suggest as suggestions
from ocd.quality.files import load
from ocd.quality.suggest import Suggestion
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.profile import look
from tasks.render import as_json


@click.command(
    epilog="Example: ocd quality suggest agent_run --rule cost_usd.range --accept cost.yml"
)
@click.argument("table")
@click.option("--rule", "names", multiple=True, help="Only this one; may be given again.")
@click.option(
    "--accept",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them into this new file; without it nothing is written.",
)
@json_option
def suggest(table: str, names: tuple[str, ...], accept: Path | None, is_json: bool) -> None:
    """Propose rules from a profile of the table, in the shape of the rule files.

    They say what holds today; whether it is meant, a person decides. Nothing is switched on by itself.
    """
    facts = dataset_named(table)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found, _ = look(conn, facts)
    known = [one.id.removeprefix(f"{table}.") for one in load() if one.source.name == table]
    proposed = _chosen(suggestions.suggest(facts, found, known=known), names)
    document = suggestions.as_document(facts, proposed)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    if accept:
        _write(accept, text)
    if is_json:
        as_json(
            {"rules": [{"name": one.name, "because": one.because, **one.body} for one in proposed]}
        )
    elif accept:
        click.echo(f"{len(proposed)} rules written to {accept}")
    else:
        click.echo(text if proposed else f"{table}: too few rows to propose anything from")
        for one in proposed:
            click.echo(f"# {one.name}: {one.because}", err=True)


def _chosen(proposed: tuple[Suggestion, ...], names: tuple[str, ...]) -> tuple[Suggestion, ...]:
    known = {one.name for one in proposed}
    for name in names:
        if name not in known:
            raise UnknownName("proposed rule", name, known)
    return tuple(one for one in proposed if not names or one.name in names)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists and stays as it is; name a new file") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
