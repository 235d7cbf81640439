"""`ocd …`: every command, loaded when it is called, so that `ocd --help` answers at once."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import click

from ocd.core.errors import OcdError

#: command → (where it is, what it does)
COMMANDS: dict[str, tuple[str, str]] = {
    "jobs": ("look", "List the jobs: what they do, when they run, last good window."),
    "runs": ("look", "List runs, newest first."),
    "show": ("look", "Show one run whole: state, attempts, evidence, files."),
    "logs": ("look", "Print the log lines of a run."),
    "evidence": ("look", "Write the log of what was done, for auditors."),
    "status": ("health", "Say at a glance whether all is well."),
    "incidents": ("health", "List what is wrong, once per cause; close one."),
    "dead": ("health", "List the dead runs, with where and why they died."),
    "run": ("order", "Run a job."),
    "night": ("order", "Run tonight's flow: the last closed day."),
    "flow": ("flow", "Look at flows: steps, what waits for what, how a window stands."),
    "backfill": ("backfill", "Run a job for past windows."),
    "backfills": ("backfill", "List, follow or cancel backfills."),
    "rerun": ("order", "Take ended runs up again: one, a flow's failed steps, the dead."),
    "approve": ("approve", "Say yes to what a refused run asks for; it goes on."),
    "approvals": ("approve", "List what runs ask for, and who said yes to what."),
    "cancel": ("order", "Stop a run between two batches."),
    "pause": ("hold", "Keep beat from ordering a job, a flow or everything."),
    "restore": ("restore", "Bring rows back from a backup."),
    "unpurge": ("restore", "Bring back what a purge took."),
    "scratch": ("restore", "Look after the servers that a restore leaves up: list, drop."),
    "erase": ("erase", "Answer people who ask to be forgotten: request, run, list."),
    "backups": ("backups", "List backups: how well proved, why each stays; show one."),
    "purge": ("purge", "Look at what a purge would delete, and why."),
    "policy": ("policy", "Keep rows longer than their rules say: list, set, unset."),
    "hold": ("legal", "Keep rows from every purge: place, release, list."),
    "resume": ("hold", "Let beat order again."),
    "source": ("source", "See how outside sources stand; try whether they answer."),
    "quality": ("quality", "Check the data against its rules, see what it is like, mend it."),
    "seed": ("system", "Fill the embedded database with sample data."),
    "load": ("load", "Load decisions and telemetry from files."),
    "sitemap": ("sitemap", "Look at readings of the shop's sitemap: list, diff, report."),
    "db": (
        "system",
        "Migrate the database and look at it: upgrade, downgrade, status, audit, slow.",
    ),
    "check": ("system", "Check settings, servers and schema before anything runs."),
    "api": ("health", "Serve health and metrics over HTTP."),
    "up": ("system", "Run everything on this machine, in the foreground."),
    "down": ("system", "Stop what `ocd up` or KEEP=1 left running."),
}


class _Lazy(click.Group):
    """A group that imports a command when it is used; its list of names and helps is `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tasks.commands.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ocd.core.errors import UnknownName

            raise UnknownName("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    epilog="Example: ocd run lifecycle.purge --dataset agent_feedback --dry-run",
    context_settings={"max_content_width": 110},
)
@click.version_option(package_name="ocd")
def cli() -> None:
    """Keep a support desk's data safe, small, fresh and trusted."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point: errors of ours become one line and an exit code (1 a run failed, 2 usage or configuration)."""
    try:
        code = cli.main(args=arguments, prog_name="ocd", standalone_mode=False)
    except click.exceptions.Abort:
        _say("interrupted")
        code = 130
    except click.ClickException as error:
        error.show()
        code = 2
    except OcdError as error:
        _say(f"{type(error).__name__}: {error.message}")
        code = 2
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    else:
        code = code if isinstance(code, int) else 0
    finally:
        if "tasks.runtime" in sys.modules:
            sys.modules["tasks.runtime"].release()
    sys.exit(code)


def _say(text: str) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": text}))
    click.echo(f"ocd: {text}", err=True)


if __name__ == "__main__":
    main()
