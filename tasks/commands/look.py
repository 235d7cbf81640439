"""Commands that only read: jobs, runs, one run, logs, evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.table import Table

from ocd.core.clock import utc_now
from ocd.core.errors import ConfigError, UnknownName
from ocd.ledger import history
from ocd.ledger.observe import Snapshot, observe
from ocd.ledger.states import State
from ocd.ledger.windows import Cadence
from tasks import registry, runtime
from tasks.flows import FLOWS, Flow
from tasks.job import Job, job_named
from tasks.render import (
    as_json,
    console,
    evidence_text,
    runs_table,
    state_text,
    subject_text,
    took_text,
)

json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON for machines.")


def parse_since(text: str | None) -> datetime | None:
    """Return the instant of `2026-11-23`, `2026-11-23T02:00Z`, `36h` or `7d`; raises ConfigError."""
    if text is None:
        return None
    if text[:-1].isdigit() and text[-1] in "hd":
        return utc_now() - timedelta(**{"hours" if text[-1] == "h" else "days": int(text[:-1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--since {text!r}: expected 2026-11-23, 2026-11-23T02:00Z, 36h or 7d"
        ) from error
    return found.replace(tzinfo=found.tzinfo or UTC)


@click.command(epilog="Example: ocd jobs --json")
@json_option
def jobs(is_json: bool) -> None:
    """List the jobs: what they do, cadence or flow, next window, last good window, deadline."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = observe(conn, registry.JOBS)
    rows = [_job_row(name, found) for name in sorted(registry.JOBS)]
    if is_json:
        as_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("job", "what it does", "when", "next due", "last good window", "deadline"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            row["job"],
            row["summary"],
            row["when"],
            row["next_due"] or "",
            row["last_good"] or "never",
            row["deadline"],
        )
    console().print(table)


def _when(job: Job[Any, Any], flow: Flow | None, cadence: Cadence) -> str:
    if job.facts.is_on_demand:
        return "on demand"
    return f"in flow {flow.name}, {cadence}" if flow else str(cadence)


def _job_row(name: str, snapshot: Snapshot) -> dict[str, Any]:
    job, now = job_named(name), snapshot.at
    flow = next((flow for flow in FLOWS if any(step.job == name for step in flow.steps)), None)
    cadence = flow.cadence if flow else job.cadence
    return {
        "job": name,
        "summary": job.summary,
        "queue": job.facts.queue,
        "effect": job.facts.effect,
        "when": _when(job, flow, cadence),
        "window": cadence.last_closed(now).label,
        "next_due": "" if job.facts.is_on_demand else f"{cadence.next_due(now):%Y-%m-%d %H:%M}Z",
        "last_good": snapshot.jobs[name].good_window,
        "catch_up": str(job.facts.catch_up),
        "deadline": f"{int(job.facts.deadline.total_seconds() // 3600)} h after the window",
        "parameters": {item.name: item.default for item in job.parameters},
        "has_dry_run": job.has_dry_run,
        "can_backfill": job.facts.can_backfill,
    }


@click.command(epilog="Example: ocd runs --state failed --since 7d")
@click.option("--job", help="Only runs of this job.")
@click.option("--state", help="Only runs in this state.")
@click.option("--since", help="Only runs of this time on: 2026-11-23, 36h, 7d.")
@click.option("--limit", default=50, show_default=True, help="At most this many.")
@json_option
def runs(job: str | None, state: str | None, since: str | None, limit: int, is_json: bool) -> None:
    """List runs, newest first: job, window, subject, state, rows, evidence."""
    if job is not None:
        job_named(job)
    if state is not None and state not in set(State):
        raise UnknownName("state", state, [item.value for item in State])
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = history.runs(conn, job=job, state=state, since=parse_since(since), limit=limit)
    if is_json:
        as_json(found)
    elif found:
        console().print(runs_table(found))
    else:
        click.echo(
            "no runs yet; start with `ocd night`" if not (job or state or since) else "no such runs"
        )


@click.command(epilog="Example: ocd show 12")
@click.argument("run", type=int)
@json_option
def show(run: int, is_json: bool) -> None:
    """Show one run whole, a failed one with what happened and what to do."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = history.run(conn, run)
    if is_json:
        as_json(found)
        return
    shown = console()
    shown.print(
        f"[bold]run {run}[/]  {found['job']} {subject_text(found)}  window {found['window']}  {state_text(found)}"
    )
    shown.print(_in_words(found))
    for attempt in found["attempts"]:
        error = (
            f"  {attempt['error_class']}: {attempt['error_message']}"
            if attempt["error_class"]
            else ""
        )
        shown.print(
            f"  generation {attempt['generation']} attempt {attempt['number']}  {attempt['started_at']:%Y-%m-%d %H:%M:%S}Z"
            f"  on {attempt['worker']}  {attempt['outcome'] or 'running'}{error}",
            markup=False,
        )
    for artifact in found["artifacts"]:
        shown.print(
            f"  file {artifact['name']}  {artifact['size_bytes']:,} B  expires {artifact['expires_at']:%Y-%m-%d}",
            markup=False,
        )
    if found["evidence"]:
        shown.print_json(data=found["evidence"])


def _in_words(run: dict[str, Any]) -> str:
    state, run_id = run["state"], run["id"]
    if run["blocked_by"]:
        return f"It waits for run {run['blocked_by'][0]}, which did not end done; mend that, then `ocd rerun {run['blocked_by'][0]}`."
    words = {
        "done": f"It ended done in {took_text(run)}: {evidence_text(run)}.",
        "running": f"It runs on {run['worker']}: {evidence_text(run) or 'no progress reported yet'}.",
        "queued": "It waits for a worker; is one running? (`ocd status`)",
        "waiting": "It waits for the steps before it.",
        "cancelled": f"Somebody cancelled it; `ocd rerun {run_id}` takes it up again.",
    }
    default = (
        f"It {'was refused' if state == 'refused' else 'failed'} after {run['attempt']} attempt(s): {run['error_message']}. "
        f"When the cause is mended: `ocd rerun {run_id}`. Its log: `ocd logs {run_id}`."
    )
    return words.get(state, default)


@click.command(epilog="Example: ocd logs 12 --last 20")
@click.argument("run", type=int)
@click.option("--last", type=int, help="Only the last lines.")
@json_option
def logs(run: int, last: int | None, is_json: bool) -> None:
    """Print the log lines of a run, all attempts in order."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        history.message_of(conn, run)
        lines = history.log_lines(conn, run, last=last)
    if is_json:
        as_json(lines)
        return
    for line in lines:
        facts = " ".join(f"{key}={value}" for key, value in line["fields"].items())
        click.echo(
            f"{line['at']:%Y-%m-%d %H:%M:%S}Z {line['level']:<7} {line['event']} {facts}".rstrip()
        )


@click.command(epilog="Example: ocd evidence --since 7d --md > evidence.md")
@click.option("--since", default="24h", show_default=True, help="From this time on.")
@click.option("--md", "is_markdown", is_flag=True, help="Markdown, for a document.")
@json_option
def evidence(since: str, is_markdown: bool, is_json: bool) -> None:
    """Write time, command, outcome and files of every run since then."""
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = history.runs(conn, since=parse_since(since), limit=10_000)[::-1]
    rows = [_evidence_row(run) for run in found]
    if is_json:
        as_json(rows)
        return
    if is_markdown:
        click.echo("| time (UTC) | command | outcome | files |\n|---|---|---|---|")
    for row in rows:
        values = (row["at"], row["command"], row["outcome"], ", ".join(row["files"]))
        click.echo(
            "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"
            if is_markdown
            else "  ".join(values)
        )


def _options(run: dict[str, Any]) -> str:
    """Return the arguments of a run as they are typed, without those that say what goes without saying."""
    job = registry.JOBS.get(run["job"])
    usual = {item.name: item.default for item in job.parameters} if job else {}
    said = {key: value for key, value in run["params"].items() if usual.get(key, ...) != value}
    return "".join(f" --{key.replace('_', '-')} {value}" for key, value in said.items())


def _evidence_row(run: dict[str, Any]) -> dict[str, Any]:
    at = run["finished_at"] or run["started_at"] or run["created_at"]
    dry = " --dry-run" if run["kind"] == "dry" else ""
    return {
        "at": f"{at:%Y-%m-%d %H:%M:%S}",
        "run": run["id"],
        "command": f"ocd run {run['job']}{_options(run)} --window {run['window']}{dry}",
        "outcome": f"{run['state']}: {evidence_text(run)}".rstrip(": "),
        "files": run["artifacts"],
    }
