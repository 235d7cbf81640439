"""Wrong input ends in one clear line and exit code 2; nothing is started or written by accident."""

from __future__ import annotations

import click
import pytest

from tasks.cli import cli

NOWHERE = {
    "OCD_DATABASE_URL": "postgresql://nobody:hunter2@127.0.0.1:1/nothing",
    "OCD_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
}


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["runs"], NOWHERE, "is the server up"),
        (["seed"], NOWHERE, "embedded database only"),
        (["up"], NOWHERE, "embedded servers"),
        (
            ["runs"],
            {"OCD_DATABASE_URL": "mysql://x", "OCD_REDIS_URL": "redis://x"},
            "expected postgresql://",
        ),
        (["runs"], {"OCD_DATABASE_URL": "postgresql://x/y"}, "OCD_REDIS_URL is not"),
        (["runs"], {"OCD_DATABSE_URL": "x"}, "did you mean 'OCD_DATABASE_URL'"),
        (["runs"], {"OCD_LEASE_S": "soon"}, "OCD_LEASE_S"),
        (["runs", "--state", "finished"], {}, "unknown state"),
        (["runs", "--since", "yesterday"], {}, "expected 2026-11-23"),
        (["run", "lifecycle.purg"], {}, "did you mean 'lifecycle.purge'"),
        (["run", "lifecycle.purge", "--datset", "x"], {}, "--dataset"),
        (["run", "warehouse.rollup", "--window", "2999-01-01"], {}, "not over yet"),
        (["run", "warehouse.rollup", "--window", "tomorrow"], {}, "expected a day"),
        (
            ["backfill", "sources.snapshot_sitemap", "--from", "2026-01-01", "--to", "2026-01-02"],
            {},
            "cannot be backfilled",
        ),
        (
            ["backfill", "warehouse.rollup", "--from", "2026-01-03", "--to", "2026-01-02"],
            {},
            "is after",
        ),
        (["nihgt"], {}, "did you mean 'night'"),
        (["show", "1"], {}, "there is no run 1"),
        (["cancel", "1"], {}, "does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_clear_line_and_exit_code_2(shell, arguments, env, said):
    done = shell(*arguments, code=2, **env)

    assert said in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_foreign_database_is_never_migrated_by_itself(shell, empty_database):
    done = shell(
        "runs", code=2, OCD_DATABASE_URL=empty_database.url, OCD_REDIS_URL="redis://127.0.0.1:1/0"
    )

    assert "run `ocd db upgrade`" in done.stderr


def test_db_upgrade_is_explicit_and_says_what_it_did(shell, empty_database):
    env = {
        "OCD_DATABASE_URL": empty_database.url,
        "OCD_OWNER_DATABASE_URL": empty_database.owner_url,
        "OCD_REDIS_URL": "redis://127.0.0.1:1/0",
    }

    assert "(none) → " in shell("db", "upgrade", **env).stdout
    assert shell("db", "status", **env).returncode == 0


def test_check_names_what_is_wrong(shell):
    found = shell.json("check", code=2, **NOWHERE)

    assert {one["check"] for one in found if not one["ok"]} >= {"database and schema", "redis"}


def test_a_run_without_a_worker_stays_queued_and_says_so(shell, db):
    shell.environment = {"OCD_DATABASE_URL": db.url, "OCD_REDIS_URL": "redis://127.0.0.1:1/0"}

    done = shell("run", "warehouse.rollup", "--no-wait")

    assert "new" in done.stdout
    assert [run["state"] for run in shell.json("runs")] == ["queued"]
    shell.environment = {}


def test_help_shows_an_example_for_every_command():
    """Of the very commands that the shell calls, groups' subcommands included."""
    with click.Context(cli, info_name="ocd") as context:
        without = [
            path for path, text in helps(cli, context, "ocd") if f"Example: {path}" not in text
        ]

    assert without == []


def helps(command, context, path):
    """Yield path and help text of every command below."""
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        with click.Context(found, info_name=name, parent=context) as inner:
            yield f"{path} {name}", found.get_help(inner)
            if isinstance(found, click.Group):
                yield from helps(found, inner, f"{path} {name}")
