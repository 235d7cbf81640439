"""Commands of quality: what the data is like."""

from __future__ import annotations

import click

from tasks.commands.cleanse import cleanse
from tasks.commands.completeness import completeness
from tasks.commands.consistency import consistency
from tasks.commands.profile import profile
from tasks.commands.suggest import suggest


@click.group(epilog="Example: ocd quality profile agent_queries")
def quality() -> None:
    """Look at what the data is like, and mend it."""


for _command in (profile, suggest, completeness, consistency, cleanse):
    quality.add_command(_command)
