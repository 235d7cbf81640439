"""Commands that order work: run, night, backfill, rerun, cancel."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ocd.core.clock import utc_now
from ocd.core.errors import ConfigError, PolicyRefused
from ocd.core.settings import PROJECT, Settings, local_environment, process_environment
from ocd.core.store import open_store
from ocd.ledger import enqueue
from ocd.ledger.enqueue import Placed, What
from tasks import registry, runtime
from tasks.commands.look import json_option
from tasks.flows import NIGHT, place_flow
from tasks.follow import follow
from tasks.job import Job, job_named
from tasks.publish import place, publish_all
from tasks.render import as_json, console, runs_table

PYTHON_TYPES = {str: click.STRING, int: click.INT, float: click.FLOAT, bool: click.BOOL}


def who() -> str:
    """Return the name of the person at the shell, for the ledger."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def workers(*, keep: bool = False) -> Iterator[None]:
    """Have a worker for the body: the configured ones, the running stack, or one started for it.

    Raises ConfigError where the configured servers have no worker running.
    """
    if not runtime.is_embedded():
        _require_worker()
        yield
        return
    from ocd.local.stack import Stack

    settings = runtime.settings()
    stack = Stack(settings, runtime.environment())
    was_running = stack.is_running()
    try:
        if not was_running:
            stack.start(runtime.servers(), with_beat=False)
        _wait_for_worker()
        stack.wait_for_flower(timeout_s=15)
        yield
    finally:
        if not was_running and not keep:
            stack.stop()


def _require_worker() -> None:
    if not _worker_answers(2.0):
        raise ConfigError(
            "no worker answers; the run stays queued in the ledger until one is started: celery -A tasks.app worker -Q short,long,io,ml"
        )


def _worker_answers(timeout_s: float) -> bool:
    from kombu.exceptions import OperationalError

    from tasks.app import app

    try:
        return bool(app.control.ping(timeout=timeout_s, limit=1))
    except (OperationalError, OSError) as error:
        raise ConfigError(
            f"Redis does not answer ({type(error).__name__}); check OCD_REDIS_URL with `ocd check`"
        ) from error


def _wait_for_worker() -> None:
    for _ in range(60):
        if _worker_answers(0.5):
            return
    raise ConfigError(f"the worker did not start; see {runtime.settings().home}/logs/worker.log")


class _Jobs(click.Group):
    """One command per job, its options made from the job's own signature."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(registry.JOBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        return _command_of(job_named(cmd_name))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        job = job_named(args[0])
        return args[0], _command_of(job), args[1:]


def _command_of(job: Job[Any, Any]) -> click.Command:
    options: list[click.Parameter] = [
        click.Option(
            [f"--{item.name.replace('_', '-')}", item.name],
            type=PYTHON_TYPES[item.type],
            default=item.default,
            show_default=True,
            help="" if item.name not in job.facts.expand else "One of them, or all.",
        )
        for item in job.parameters
    ]
    options += [
        click.Option(
            ["--window"], help="The window, such as 2026-11-23. Default: the last closed one."
        ),
        click.Option(["--force"], is_flag=True, help="Run again although it is done."),
        click.Option(
            ["--wait/--no-wait"], default=True, show_default=True, help="Follow it to its end."
        ),
        click.Option(["--json", "is_json"], is_flag=True, help="Print JSON for machines."),
    ]
    if job.has_dry_run:
        options.append(
            click.Option(["--dry-run"], is_flag=True, help="Show the plan; change nothing.")
        )

    def carry_out(**given: Any) -> int:
        return _run_job(job, given)

    return click.Command(
        job.name,
        params=options,
        callback=carry_out,
        help=job.summary,
        epilog=f"Example: ocd run {job.name} --window 2026-11-23",
    )


@click.group(
    cls=_Jobs, epilog="Example: ocd run lifecycle.purge --dataset agent_feedback --dry-run"
)
def run() -> None:
    """Run a job; its options are the job's own (see `ocd run JOB --help`)."""


def _run_job(job: Job[Any, Any], given: dict[str, Any]) -> int:
    params = {item.name: given[item.name] for item in job.parameters}
    cadence = job.facts.cadence
    window = cadence.parse(given["window"]) if given["window"] else cadence.last_closed(utc_now())
    if window.end > utc_now():
        raise PolicyRefused(
            f"window {window.label} is not over yet; the last closed one is {cadence.last_closed(utc_now()).label}"
        )
    is_dry = bool(given.get("dry_run"))
    orders = [
        job.order(one, window, is_dry=is_dry, requested_by=who()) for one in job.spread(params)
    ]

    def order() -> list[Placed]:
        return place(orders, retry_ended=True, force=given["force"])

    if not given["wait"]:
        return _told(order(), given["is_json"])
    with workers():
        placed = order()
        _say_what(placed, given["is_json"])
        return _follow(placed, given["is_json"])


def _say_what(placed: list[Placed], is_json: bool) -> None:
    done = [one.run_id for one in placed if one.what is What.DONE]
    if done and not is_json:
        click.echo(
            f"done already, nothing runs twice: {', '.join(map(str, done))} (--force runs them again)",
            err=True,
        )


def _told(placed: list[Placed], is_json: bool) -> int:
    if is_json:
        as_json([{"run": one.run_id, "what": one.what.value} for one in placed])
    else:
        click.echo(
            "\n".join(
                f"run {one.run_id}: {one.what.value}; follow it with `ocd show {one.run_id}`"
                for one in placed
            )
        )
    return 0


def _follow(placed: list[Placed], is_json: bool, title: str | None = None) -> int:
    """Follow to the end, print the table; 0 only if every run is done."""
    found = follow([one.run_id for one in placed], quiet=is_json)
    if is_json:
        as_json(found)
    else:
        console().print(runs_table(found, title))
    return 0 if all(one["state"] == "done" for one in found) else 1


@click.command(epilog="Example: ocd night --window 2026-11-23")
@click.option("--window", help="The day. Default: the last closed one, at whatever hour it is.")
@click.option(
    "--local", is_flag=True, help="On this home's embedded servers, whatever the environment names."
)
@click.option("--keep", is_flag=True, help="Leave worker and Flower running afterwards.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def night(window: str | None, local: bool, keep: bool, wait: bool, is_json: bool) -> int:
    """Run tonight's flow: backup, verify, purge; refresh, check and roll up beside it."""
    if local:
        use_home_only()
    chosen = NIGHT.cadence.parse(window) if window else NIGHT.cadence.last_closed(utc_now())
    if runtime.is_embedded():
        seed_if_empty(is_json)
    if not wait:
        return _told(
            place_flow(NIGHT, chosen, trigger="manual", requested_by=who(), retry_ended=True),
            is_json,
        )
    with workers(keep=keep):
        placed = place_flow(NIGHT, chosen, trigger="manual", requested_by=who(), retry_ended=True)
        _announce(placed, chosen.label, is_json)
        code = _follow(placed, is_json, f"night of {chosen.label}")
    if not is_json:
        _where_to_look(runtime.settings(), keep)
    return code


def use_home_only() -> None:
    """Forget every configured server: only the home folder of this clone counts."""
    home = Path(process_environment().get("OCD_HOME", PROJECT / ".ocd"))
    runtime.use(local_environment(process_environment(), home))


def seed_if_empty(is_json: bool) -> None:
    """Fill the embedded database with sample data the first time."""
    from ocd.local.seed import is_empty, seed

    with runtime.engine("cli").begin() as conn:
        if not is_empty(conn):
            return
        report = seed(conn, rows=6000, faults=False, now=utc_now(), progress=None)
    if not is_json:
        click.echo(f"seeded {report.rows:,} sample rows into the empty database", err=True)


def _announce(placed: list[Placed], label: str, is_json: bool) -> None:
    if is_json:
        return
    counts = {what: sum(one.what is what for one in placed) for what in What}
    words = [f"{count} {what.value}" for what, count in counts.items() if count]
    click.echo(f"night of {label}: {len(placed)} runs ({', '.join(words)})", err=True)
    if counts[What.DONE] == len(placed):
        click.echo("everything is done already; nothing runs twice", err=True)


def _where_to_look(settings: Settings, keep: bool) -> None:
    store = open_store(settings.artifact_location())
    click.echo(f"\nevidence: {store.describe('')}".rstrip("/"))
    click.echo(
        "look further: ocd runs · ocd show RUN · ocd logs RUN · ocd evidence --since 24h --md · ocd up (with Flower)"
    )
    if keep:
        from ocd.local.stack import FLOWER_USER, Stack

        stack = Stack(settings)
        click.echo(
            f"still running: Flower at {stack.flower_url()} (user {FLOWER_USER}, password in {settings.home}/secrets/flower); ocd down stops it"
        )


@click.command(
    epilog="Example: ocd backfill warehouse.rollup --from 2026-11-01 --to 2026-11-07 --param agent=all"
)
@click.argument("job")
@click.option("--from", "first", required=True, help="First window.")
@click.option("--to", "last", required=True, help="Last window, included.")
@click.option("--param", multiple=True, help="An argument of the job, name=value.")
@click.option(
    "--reprocess",
    type=click.Choice(["missing", "failed", "all"]),
    default="missing",
    show_default=True,
    help="missing: windows never run; failed: these and ended badly; all: done ones too.",
)
@click.option(
    "--max-active", default=100, show_default=True, help="At most this many under way at once."
)
@click.option("--reverse", is_flag=True, help="Newest window first.")
@click.option("--dry-run", is_flag=True, help="Show the windows; order nothing.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def backfill(job: str, first: str, last: str, is_json: bool, **options: Any) -> int:
    """Run a job for a range of past windows; never a second run for what is under way."""
    wanted = job_named(job)
    if not wanted.facts.can_backfill:
        raise ConfigError(
            f"{job} cannot be backfilled: it works on what is there now, its past cannot exist"
        )
    windows = _windows(wanted, first, last, reverse=options["reverse"])
    params = dict(_pair(text) for text in options["param"])
    orders = [
        wanted.order(one, window, trigger="backfill", requested_by=who())
        for window in windows
        for one in wanted.spread(params)
    ]
    if options["dry_run"]:
        labels = [order.window.label for order in orders]
        as_json({"job": job, "windows": labels}) if is_json else click.echo(
            "\n".join(labels) + f"\n{len(labels)} runs of {job}"
        )
        return 0
    again = {
        "retry_ended": options["reprocess"] != "missing",
        "force": options["reprocess"] == "all",
    }
    if not options["wait"]:
        return _told(place(orders, **again), is_json)
    with workers():
        ended: list[Placed] = []
        code = 0
        for start in range(0, len(orders), options["max_active"]):
            placed = place(orders[start : start + options["max_active"]], **again)
            ended += placed
            code |= _follow(placed, is_json=is_json)
    return code


def _windows(job: Job[Any, Any], first: str, last: str, *, reverse: bool) -> list[Any]:
    cadence = job.facts.cadence
    start, end = cadence.parse(first), cadence.parse(last)
    if start > end:
        raise ConfigError(f"--from {first} is after --to {last}")
    if end.end > utc_now():
        raise ConfigError(
            f"window {end.label} is not over yet; the last closed one is {cadence.last_closed(utc_now()).label}"
        )
    found = list(cadence.between(start, end))
    return found[::-1] if reverse else found


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"--param {text!r}: expected name=value")
    return name, value


@click.command(epilog="Example: ocd rerun 12 --force")
@click.argument("run", type=int)
@click.option("--force", is_flag=True, help="Also a run that is done.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def rerun(run: int, force: bool, wait: bool, is_json: bool) -> int:
    """Take a failed, refused, cancelled or dead run up again, with its arguments."""
    with runtime.engine().begin() as conn:
        placed = enqueue.rerun(conn, run, force=force, requested_by=who())
    if not wait:
        publish_all([run] if placed.is_ready else [])
        return _told([placed], is_json)
    with workers():
        publish_all([run] if placed.is_ready else [])
        return _follow([placed], is_json)


@click.command(epilog="Example: ocd cancel 12")
@click.argument("run", type=int)
@json_option
def cancel(run: int, is_json: bool) -> None:
    """Stop a run: a queued one at once, a running one between two batches."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        state = enqueue.cancel(conn, run)
    said = "cancelled" if state == "cancelled" else "it stops after its current batch"
    as_json({"run": run, "state": state.value}) if is_json else click.echo(f"run {run}: {said}")
