"""Commands of backfills: order one, list, follow, cancel."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ocd.core.errors import ConfigError
from ocd.ledger import backfills as ledger
from ocd.ledger import history
from ocd.ledger.backfills import Reprocess
from ocd.ledger.states import ENDS
from ocd.ledger.windows import Window
from tasks import backfill as ordering
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import chosen_window, who, workers
from tasks.job import Job, job_named
from tasks.ledger import reconcile_now
from tasks.render import as_json, console

POLL_S = 0.5
SWEEP_S = 5.0


@click.command(
    epilog="Example: ocd backfill warehouse.rollup --from 2026-11-01 --to 2026-11-07 --dry-run"
)
@click.argument("job")
@click.option("--from", "first", required=True, help="First window.")
@click.option("--to", "last", required=True, help="Last window, included.")
@click.option("--param", multiple=True, help="An argument of the job, name=value.")
@click.option(
    "--reprocess",
    type=click.Choice([one.value for one in Reprocess]),
    default="missing",
    show_default=True,
    help="missing: windows never run; failed: these and ended badly; all: done ones too.",
)
@click.option(
    "--max-active",
    default=4,
    show_default=True,
    type=click.IntRange(min=1),
    help="At most this many under way at once.",
)
@click.option("--reverse", is_flag=True, help="Newest window first.")
@click.option("--dry-run", is_flag=True, help="Show windows and load; order nothing.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")
@json_option
def backfill(job: str, first: str, last: str, is_json: bool, **options: Any) -> int:
    """Run a job for a range of past windows; never a second run for what is under way."""
    wanted = job_named(job)
    if not wanted.facts.can_backfill:
        raise ConfigError(
            f"{job} cannot be backfilled: it works on what is there now, its past cannot exist"
        )
    ordered = ordering.Range(
        wanted,
        _windows(wanted, first, last),
        dict(_pair(text) for text in options["param"]),
        Reprocess(options["reprocess"]),
        options["max_active"],
        options["reverse"],
    )
    if options["dry_run"]:
        return _show_plan(ordered, is_json)
    if not options["wait"]:
        return _say(ordering.start(ordered, requested_by=who()), is_json)
    with workers():
        started = ordering.start(ordered, requested_by=who())
        if started is None:
            return _say(None, is_json)
        return _follow(started, is_json)


def _show_plan(ordered: ordering.Range, is_json: bool) -> int:
    with runtime.engine("cli", with_redis=False).connect() as conn:
        plan = ordering.plan(conn, ordered)
    if is_json:
        as_json(plan.as_dict())
        return 0
    for window, subject, why in plan.lines():
        click.echo(f"{window}{f' {subject}' if subject else ''}  {why}")
    click.echo(plan.summary)
    return 0


def _say(backfill_id: int | None, is_json: bool) -> int:
    if is_json:
        as_json({"id": backfill_id, "runs": []})
    elif backfill_id is None:
        click.echo("no window to run: all are done or under way (--reprocess says which to take)")
    else:
        click.echo(f"backfill {backfill_id} is under way; {_how_to(backfill_id)}")
    return 0


def _how_to(backfill_id: int) -> str:
    return f"follow it: ocd backfills follow {backfill_id} · stop it: ocd backfills cancel {backfill_id}"


def _follow(backfill_id: int, is_json: bool) -> int:
    """Show a bar until the backfill has ended; Ctrl-C leaves it running. 0 only if every run is done."""
    try:
        found = _wait(backfill_id, _silent if is_json else _shown())
    except KeyboardInterrupt:
        click.echo(
            f"\nbackfill {backfill_id} goes on as long as a worker lives; {_how_to(backfill_id)}",
            err=True,
        )
        return 130
    if is_json:
        with runtime.engine().connect() as conn:
            runs = history.runs(conn, backfill=backfill_id, limit=100_000)
        as_json(found | {"runs": runs[::-1]})
    else:
        click.echo(_summary(found))
    return 0 if set(found["states"]) <= {"done"} else 1


def _wait(backfill_id: int, show: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    engine = runtime.engine()
    swept = time.monotonic()
    try:
        while True:
            with engine.connect() as conn:
                found = ledger.backfill(conn, backfill_id)
            show(found)
            if found["finished_at"]:
                return found
            if time.monotonic() - swept > SWEEP_S:
                swept = time.monotonic()
                reconcile_now()
            time.sleep(POLL_S)
    finally:
        getattr(show, "close", lambda: None)()


def _silent(found: dict[str, Any]) -> None:
    """Show nothing."""


class _Bar:
    """A progress bar on a terminal, fed from the ledger."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[states]}"),
            TimeElapsedColumn(),
            console=console(),
            transient=True,
        )
        self._task = self._progress.add_task("backfill", total=None, states="")
        self._progress.start()

    def __call__(self, found: dict[str, Any]) -> None:
        self._progress.update(
            self._task,
            description=f"backfill {found['id']} {found['job']}",
            total=sum(found["states"].values()),
            completed=_ended(found),
            states=_states_text(found),
        )

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """A line on standard error whenever more windows have ended."""

    def __init__(self) -> None:
        self._seen = -1

    def __call__(self, found: dict[str, Any]) -> None:
        if _ended(found) != self._seen:
            self._seen = _ended(found)
            total = sum(found["states"].values())
            sys.stderr.write(f"{self._seen}/{total} windows  {_states_text(found)}\n")


def _shown() -> Callable[[dict[str, Any]], None]:
    return _Bar() if console().is_terminal else _Lines()


def _ended(found: dict[str, Any]) -> int:
    return sum(count for state, count in found["states"].items() if state in ENDS)


def _states_text(found: dict[str, Any]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(found["states"].items()))


def _summary(found: dict[str, Any]) -> str:
    what = (
        f"backfill {found['id']} of {found['job']} {found['first_label']} … {found['last_label']}"
    )
    end = "cancelled" if found["cancelled_at"] else "ended" if found["finished_at"] else "under way"
    return f"{what} {end}: {_states_text(found) or 'no runs'}"


@click.group(invoke_without_command=True, epilog="Example: ocd backfills follow 3")
@json_option
@click.pass_context
def backfills(context: click.Context, is_json: bool) -> None:
    """List backfills, newest first; follow or cancel one."""
    if context.invoked_subcommand is not None:
        return
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = ledger.backfills(conn)
    if is_json:
        as_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("backfill", "job", "windows", "reprocess", "by", "runs", "state"):
        table.add_column(column)
    for one in found:
        end = "cancelled" if one["cancelled_at"] else "ended" if one["finished_at"] else "under way"
        table.add_row(
            str(one["id"]),
            one["job"],
            f"{one['first_label']} … {one['last_label']}",
            one["reprocess"],
            one["requested_by"] or "",
            _states_text(one),
            end,
        )
    console().print(table) if found else click.echo("no backfills; see `ocd backfill --help`")


@backfills.command("follow", epilog="Example: ocd backfills follow 3")
@click.argument("backfill", type=int)
@json_option
def follow_one(backfill: int, is_json: bool) -> int:
    """Show a backfill's progress until it has ended."""
    with workers():
        return _follow(backfill, is_json)


@backfills.command("cancel", epilog="Example: ocd backfills cancel 3")
@click.argument("backfill", type=int)
@json_option
def cancel_one(backfill: int, is_json: bool) -> None:
    """Stop a backfill: what waits is cancelled, what runs stops at its next batch, what is done stays."""
    with runtime.engine("cli", with_redis=False).begin() as conn:
        stopped, stopping = ledger.cancel(conn, backfill)
        found = ledger.backfill(conn, backfill)
    if is_json:
        as_json(found | {"stopped": stopped, "stopping": stopping})
        return
    click.echo(
        f"{stopped} runs cancelled, {stopping} stop after their current batch; {_summary(found)}"
    )


def _windows(job: Job[Any, Any], first: str, last: str) -> list[Window]:
    start, end = chosen_window(job.cadence, first), chosen_window(job.cadence, last)
    if start > end:
        raise ConfigError(f"--from {first} is after --to {last}")
    return list(job.cadence.between(start, end))


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"--param {text!r}: expected name=value")
    return name, value
