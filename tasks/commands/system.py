"""Commands that run the system: seed, db, check, up, down."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.table import Table
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from ocd.core import migrate
from ocd.core.clock import utc_now
from ocd.core.db import redacted, sqlalchemy_url
from ocd.core.embedded import Servers, make_private
from ocd.core.errors import ConfigError, OcdError, PolicyRefused
from ocd.core.settings import Settings
from ocd.ledger import notify
from tasks import runtime
from tasks.commands.audit import audit
from tasks.commands.look import json_option
from tasks.commands.slow import slow
from tasks.job import store_of
from tasks.render import as_json, console


@click.command(epilog="Example: ocd seed --rows 100000 --faults")
@click.option(
    "--rows",
    default=6000,
    show_default=True,
    type=click.IntRange(min=10),
    help="Rows over the three agent tables; about half as many come beside them.",
)
@click.option("--faults", is_flag=True, help="Plant rows that quality rules find.")
@click.option(
    "--clean", "is_clean", is_flag=True, help="Delete the sample rows (demo-, test-) instead."
)
@json_option
def seed(rows: int, faults: bool, is_clean: bool, is_json: bool) -> None:
    """Fill the embedded database with sample data; refused anywhere else."""
    if not runtime.is_embedded():
        raise PolicyRefused(
            "ocd seed works on the embedded database only; OCD_DATABASE_URL names another one"
        )
    from ocd.local import seed as seeding

    with runtime.engine("cli", with_redis=False).begin() as conn:
        if is_clean:
            done = seeding.clean(conn)
            as_json({"deleted": done}) if is_json else click.echo(f"deleted {done:,} sample rows")
            return
        report = seeding.seed(
            conn,
            rows=rows,
            faults=faults,
            now=utc_now(),
            progress=None if is_json else lambda n, of: click.echo(f"{n:,}/{of:,}", err=True),
        )
    as_json({"rows": report.rows_by_dataset, "planted": report.planted}) if is_json else click.echo(
        report.summary
    )


@click.group(epilog="Example: ocd db upgrade")
def db() -> None:
    """Migrate the database, which only these commands do, except on the embedded one; audit it."""


@contextmanager
def _owner() -> Iterator[str]:
    """Give the owner's URL, starting the embedded server where none is configured."""
    found = runtime.configured()
    if found.is_embedded:
        servers = runtime.servers()
        servers.attach(with_redis=False)
        yield servers.postgres.url("owner")
    else:
        yield found.owner_url()


def _revision(url: str) -> str | None:
    try:
        with create_engine(
            sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5}
        ).connect() as conn:
            return migrate.current(conn)
    except DBAPIError as error:
        raise redacted(error) from error


@db.command(epilog="Example: ocd db upgrade --revision 0004")
@click.option("--revision", default="head", show_default=True, help="Up to here.")
def upgrade(revision: str) -> None:
    """Apply the migrations that are missing."""
    with _owner() as url:
        before = _revision(url)
        migrate.upgrade(url, revision)
        click.echo(f"revision {before or '(none)'} → {_revision(url)}")


@db.command(epilog="Example: ocd db downgrade --revision 0003 --yes")
@click.option("--revision", required=True, help="Down to here; base undoes everything.")
@click.option(
    "--yes", is_flag=True, required=True, help="Say that you mean it: a downgrade drops tables."
)
def downgrade(revision: str, yes: bool) -> None:
    """Undo migrations, dropping what they made."""
    with _owner() as url:
        before = _revision(url)
        migrate.downgrade(url, revision)
        click.echo(f"revision {before or '(none)'} → {_revision(url) or '(none)'}")


@db.command("status", epilog="Example: ocd db status --json")
@json_option
def db_status(is_json: bool) -> int:
    """Say where database and code stand."""
    with _owner() as url:
        there, here = _revision(url), migrate.head()
    as_json({"database": there, "code": here}) if is_json else click.echo(
        f"database {there or '(none)'}, code {here}"
    )
    return 0 if there == here else 2


db.add_command(audit)
db.add_command(slow)


@click.command(epilog="Example: ocd check --json")
@json_option
def check(is_json: bool) -> int:
    """Check settings, servers and schema before anything runs; exit code 2 when something is wrong."""
    results: list[dict[str, Any]] = []

    def look(what: str, deed: Callable[[], str]) -> None:
        try:
            results.append({"check": what, "ok": True, "detail": deed()})
        except OcdError as error:
            results.append({"check": what, "ok": False, "detail": error.message})

    look(
        "settings",
        lambda: (
            "embedded servers of " + str(runtime.configured().home)
            if runtime.configured().is_embedded
            else "configured servers"
        ),
    )
    if results[0]["ok"]:
        look("database and schema", _check_database)
        look("redis", _check_redis)
        look("artifact store", _check_store)
        look("signing key", _check_signing)
        look("ga4", _check_ga)
        look("notifications", _check_channels)
    if is_json:
        as_json(results)
    else:
        for one in results:
            console().print(
                f"[{'green' if one['ok'] else 'red'}]{'ok ' if one['ok'] else 'BAD'}[/] {one['check']}: {one['detail']}"
            )
    return 0 if all(one["ok"] for one in results) else 2


def _check_database() -> str:
    runtime.engine("cli")
    return f"at revision {migrate.head()}"


def _check_redis() -> str:
    from kombu.exceptions import OperationalError

    from tasks.app import app

    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except (OperationalError, OSError) as error:
        raise ConfigError(
            f"Redis does not answer ({type(error).__name__}); check OCD_REDIS_URL"
        ) from error
    return "answers"


def _check_store() -> str:
    return store_of(runtime.settings()).probe()


def _check_signing() -> str:
    keys = runtime.settings().signing_keys()
    keys.sign(b"")
    return f"{len(keys.keys)} keys, the first signs"


def _check_ga() -> str:
    from ocd.sources.ga4.backends import open_client

    return f"{open_client(runtime.settings())[1]} data"


def _check_channels() -> str:
    found = runtime.configured()
    return notify.described(notify.Channels(found.webhook_url, found.notify_urls))


@click.command(epilog="Example: ocd up")
def up() -> int:
    """Run PostgreSQL, Redis, worker, beat, Flower, API and the demo site; Ctrl-C stops all."""
    found = runtime.configured()
    if not found.is_embedded:
        raise ConfigError(
            "ocd up runs the embedded servers; with OCD_DATABASE_URL set, start: celery -A tasks.app worker | beat | flower"
        )
    with _only_one(found.home):
        return _run_stack(found)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    make_private(home)
    make_private(home / "run")
    with (home / "run" / "up.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigError(
                f"ocd up is already running in {home} ({file.read().strip()}); stop it with Ctrl-C there, or `ocd down`"
            ) from None
        file.truncate(0)
        file.write(f"pid {os.getpid()}, since {utc_now():%Y-%m-%d %H:%M:%S}Z")
        file.flush()
        yield
        file.truncate(0)


def _run_stack(found: Settings) -> int:
    from ocd.local.stack import FLOWER_USER, Stack
    from tasks.commands.order import seed_if_empty

    # What a killed `ocd up` left: its lock is free, its supervisord may live.
    old = Stack(found, runtime.environment())
    if old.is_running():
        click.echo("stopping what an earlier one left running", err=True)
        old.stop()
    settings = runtime.settings()
    seed_if_empty(is_json=False)
    stack = Stack(settings, runtime.environment())
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked.append(received))
    try:
        stack.start(runtime.servers(), with_beat=True)
        click.echo(
            f"Flower: {stack.flower_url()}  user {FLOWER_USER}  password {_readable(settings)}"
        )
        if stack.api_url():
            click.echo(f"API: {stack.api_url()}/readyz and {stack.api_url()}/metrics")
        click.echo("Ctrl-C stops all")
        _watch(stack, runtime.servers(), asked)
    finally:
        click.echo("stopping", err=True)
        stack.stop()
    return 0


def _readable(settings: Settings) -> str:
    return f"in {settings.home}/secrets/flower"


def _watch(stack: Any, servers: Servers, asked: list[int]) -> None:
    shown = console()
    if shown.is_terminal:
        with Live(console=shown, refresh_per_second=2) as live:
            while not asked and stack.is_running():
                live.update(_process_table(stack, servers))
                time.sleep(0.5)
        return
    seen: dict[str, str] = {}
    while not asked and stack.is_running():
        for name, state, detail in _process_lines(stack, servers):
            if seen.get(name) != state:
                seen[name] = state
                click.echo(f"{name:<11} {state:<9} {detail}")
        time.sleep(0.5)


def _process_lines(stack: Any, servers: Servers) -> list[tuple[str, str, str]]:
    found = [
        (
            "postgres",
            "running" if servers.postgres.pid() else "down",
            f"pid {servers.postgres.pid()}",
        ),
        ("redis", "running" if servers.redis.pid() else "down", f"pid {servers.redis.pid()}"),
    ]
    return found + [(one.name, one.state, one.detail) for one in stack.processes()]


def _process_table(stack: Any, servers: Servers) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, state, detail in _process_lines(stack, servers):
        table.add_row(name, f"[{'green' if state == 'running' else 'yellow'}]{state}[/]", detail)
    return table


@click.command(epilog="Example: ocd down")
def down() -> int:
    """Stop worker, beat, Flower and servers of this home, whoever started them."""
    from ocd.local.stack import Stack

    found = runtime.configured()
    if not found.is_embedded:
        raise ConfigError(
            "ocd down stops the embedded servers; configured ones are not ours to stop"
        )
    if not found.home.exists():
        click.echo("nothing was ever started here")
        return 0
    Stack(found, runtime.environment()).stop()
    Servers(found.home).stop()
    click.echo("all down")
    return 0
