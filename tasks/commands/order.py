"""Commands that order work: run, night, rerun, cancel."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from ocd.core.clock import utc_now
from ocd.core.errors import ConfigError, PolicyRefused
from ocd.core.settings import PROJECT, Settings, local_environment, process_environment
from ocd.core.store import open_store
from ocd.ledger import enqueue, history
from ocd.ledger.enqueue import Placed, What
from ocd.ledger.windows import Cadence, Window
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
            "no worker answers; the run stays queued in the ledger until one is started: celery -A tasks.app worker -Q short,long,io,ml,restore"
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
    window = chosen_window(job.cadence, given["window"])
    is_dry = bool(given.get("dry_run"))
    orders = [
        job.order(one, window, is_dry=is_dry, requested_by=who()) for one in job.spread(params)
    ]

    def order() -> list[Placed]:
        return place(orders, retry_ended=True, force=given["force"])

    if not given["wait"]:
        return told(order(), given["is_json"])
    with workers():
        placed = order()
        _say_what(placed, given["is_json"])
        return follow_to_end([one.run_id for one in placed], given["is_json"])


def chosen_window(cadence: Cadence, label: str | None) -> Window:
    """Return the window of a label, else the last closed one; raises PolicyRefused for one that is not over."""
    now = runtime.now("cli", with_redis=False)
    last = cadence.last_closed(now)
    window = cadence.parse(label) if label else last
    if window.end > now:
        raise PolicyRefused(
            f"window {window.label} is not over yet; the last closed one is {last.label}"
        )
    return window


def _say_what(placed: list[Placed], is_json: bool) -> None:
    done = [one.run_id for one in placed if one.what is What.DONE]
    if done and not is_json:
        click.echo(
            f"done already, nothing runs twice: {', '.join(map(str, done))} (--force runs them again)",
            err=True,
        )


def told(placed: list[Placed], is_json: bool) -> int:
    """Say what came of orders that nobody waits for."""
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


def follow_to_end(run_ids: list[int], is_json: bool, title: str | None = None) -> int:
    """Follow to the end, print the table; 0 only if every run is done."""
    found = follow(run_ids, quiet=is_json)
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
    if runtime.is_embedded():
        seed_if_empty(is_json)
    chosen = chosen_window(NIGHT.cadence, window)
    if not wait:
        return told(
            place_flow(NIGHT, chosen, trigger="manual", requested_by=who(), retry_ended=True),
            is_json,
        )
    with workers(keep=keep):
        placed = place_flow(NIGHT, chosen, trigger="manual", requested_by=who(), retry_ended=True)
        _announce(placed, chosen.label, is_json)
        code = follow_to_end([one.run_id for one in placed], is_json, f"night of {chosen.label}")
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


@click.command(epilog="Example: ocd rerun 12 --from-failed")
@click.argument("run", type=int, required=False)
@click.option("--force", is_flag=True, help="Also a run that is done.")
@click.option(
    "--from-failed",
    is_flag=True,
    help="Every step of RUN's flow and window that ended badly; what waits for it goes on by itself.",
)
@click.option("--dead", "is_dead", is_flag=True, help="Every dead run, instead of RUN.")
@click.option("--job", help="With --dead: only of this job.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def rerun(run: int | None, wait: bool, is_json: bool, **how: Any) -> int:
    """Take a failed, refused, cancelled or dead run up again, with its arguments."""
    if (run is None) != how["is_dead"] or (how["is_dead"] and (how["force"] or how["from_failed"])):
        raise click.UsageError("name one run, or --dead alone")
    with runtime.engine().begin() as conn:
        placed = _taken_up(conn, run, how)
        followed = _followed(conn, run, placed, how)
    ready = [one.run_id for one in placed if one.is_ready]
    if not placed:
        as_json([]) if is_json else click.echo("nothing to take up again")
        return 0
    if not wait:
        publish_all(ready)
        return told(placed, is_json)
    with workers():
        publish_all(ready)
        return follow_to_end(followed, is_json)


def _taken_up(conn: Connection, run: int | None, how: dict[str, Any]) -> list[Placed]:
    if run is None:
        ids = [one["id"] for one in history.runs(conn, state="dead", job=how["job"], limit=10_000)]
        return [enqueue.rerun(conn, one, force=False, requested_by=who()) for one in sorted(ids)]
    if how["from_failed"]:
        return enqueue.rerun_flow(conn, run, requested_by=who())
    return [enqueue.rerun(conn, run, force=how["force"], requested_by=who())]


def _followed(
    conn: Connection, run: int | None, placed: list[Placed], how: dict[str, Any]
) -> list[int]:
    """Return what to follow: the runs taken up, or the whole flow they belong to."""
    if run is not None and how["from_failed"]:
        return history.flow_ids(conn, run)
    return [one.run_id for one in placed]


@click.command(epilog="Example: ocd cancel 12")
@click.argument("run", type=int)
@json_option
def cancel(run: int, is_json: bool) -> None:
    """Stop a run: a queued one at once, a running one between two batches; says what it had done."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        found = enqueue.cancel(conn, run)
    done = f"{found.done:,}" + (f" of {found.total:,}" if found.total else "") if found.done else ""
    if is_json:
        as_json({"run": run, "state": found.state.value, "done": found.done, "total": found.total})
        return
    said = "cancelled" if found.state == "cancelled" else "it stops after its current batch"
    so_far = f"; done so far: {done} {found.note or ''}".rstrip() if done else ""
    click.echo(f"run {run}: {said}{so_far}; `ocd rerun {run}` takes it up again")
