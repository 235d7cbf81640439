"""Commands of flows: list, show."""

from __future__ import annotations

from typing import Any

import click
from rich.tree import Tree

from ocd.ledger import history, pauses
from tasks import registry, runtime
from tasks.commands.look import json_option
from tasks.flows import FLOWS, Flow, Step, flow_named
from tasks.job import job_named
from tasks.render import as_json, console, evidence_text, state_text, subject_text, took_text


@click.group(epilog="Example: ocd flow show night --mermaid")
def flow() -> None:
    """Look at flows: which jobs belong together, what waits for what, how a window stands."""


@flow.command("list", epilog="Example: ocd flow list --json")
@json_option
def list_flows(is_json: bool) -> None:
    """List the flows."""
    now = runtime.now("cli", with_redis=False)
    rows = [
        {
            "flow": one.name,
            "description": one.description,
            "when": str(one.cadence),
            "next_due": f"{one.cadence.next_due(now):%Y-%m-%d %H:%M}Z",
            "steps": [step.job for step in one.steps],
        }
        for one in FLOWS
    ]
    if is_json:
        as_json(rows)
        return
    for row in rows:
        click.echo(f"{row['flow']}  {row['when']}, next {row['next_due']}: {row['description']}")


@flow.command("show", epilog="Example: ocd flow show night --window 2026-11-23")
@click.argument("name")
@click.option(
    "--window", help="The window, such as 2026-11-23. Default: the newest one that was ordered."
)
@click.option("--mermaid", "is_mermaid", is_flag=True, help="A Mermaid diagram, for a document.")
@json_option
def show_flow(name: str, window: str | None, is_mermaid: bool, is_json: bool) -> None:
    """Show a flow's steps, what each waits for, and how they stand in a window."""
    registry.JOBS  # noqa: B018 - declares the jobs
    found = flow_named(name)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        label = window or history.newest_flow_window(conn, name)
        chosen = found.cadence.parse(label) if label else None
        runs = history.flow_runs(conn, name, chosen) if chosen else []
        paused = pauses.paused_names(conn)
    state = history.flow_state(runs)
    if is_json:
        as_json(
            {"flow": name, "window": label, "state": state, "steps": _steps(found, runs, paused)}
        )
    elif is_mermaid:
        click.echo(mermaid(found, _by_job(runs)))
    else:
        console().print(_tree(found, runs, paused, f"[bold]{name}[/] {label or ''} {state}"))


def _by_job(runs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        found.setdefault(run["job"], []).append(run)
    return found


def _steps(found: Flow, runs: list[dict[str, Any]], paused: frozenset[str]) -> list[dict[str, Any]]:
    by_job = _by_job(runs)
    return [
        {
            "job": step.job,
            "after": step.after,
            "is_paused": pauses.is_paused(step.job, paused),
            "runs": [
                {
                    key: run[key]
                    for key in ("id", "subject", "state", "blocked_by", "rows", "took_s")
                }
                for run in by_job.get(step.job, [])
            ],
        }
        for step in found.steps
    ]


def _tree(found: Flow, runs: list[dict[str, Any]], paused: frozenset[str], title: str) -> Tree:
    """Draw the steps: each hangs below the last of those it waits for."""
    by_job = _by_job(runs)
    root = Tree(title)
    branch: dict[str, Tree] = {}
    for step in found.steps:
        parent = branch[step.after[-1]] if step.after else root
        branch[step.job] = parent.add(_step_text(step, by_job.get(step.job, []), paused))
        for run in by_job.get(step.job, []) if len(by_job.get(step.job, [])) > 1 else []:
            branch[step.job].add(f"run {run['id']} {subject_text(run)} {_run_text(run)}")
    return root


def _step_text(step: Step, runs: list[dict[str, Any]], paused: frozenset[str]) -> str:
    text = step.job
    if len(step.after) > 1:
        text += f" [dim](after {', '.join(step.after)})[/]"
    if pauses.is_paused(step.job, paused):
        text += " [yellow]paused[/]"
    if len(runs) == 1:
        return f"{text}  run {runs[0]['id']} {_run_text(runs[0])}"
    return text if runs else f"{text}  [dim]{job_named(step.job).summary}[/]"


def _run_text(run: dict[str, Any]) -> str:
    return " ".join(part for part in (state_text(run), took_text(run), evidence_text(run)) if part)


#: Mermaid classes per state: background and text that read on light and dark pages.
_CLASSES = {
    "done": "fill:#d3f2d9,color:#11401d",
    "bad": "fill:#fbd5d5,color:#5c1111",
    "open": "fill:#d8e6fb,color:#12315c",
    "blocked": "fill:#fbeac8,color:#553a06",
}


def mermaid(found: Flow, runs_of: dict[str, list[dict[str, Any]]]) -> str:
    """Return the flow as a Mermaid diagram; steps with runs are coloured by how they stand."""
    lines = ["flowchart LR"]
    for step in found.steps:
        look = _look(runs_of.get(step.job, []))
        lines.append(f'  {step.job}["{step.job}"]' + (f":::{look}" if look else ""))
    lines += [f"  {before} --> {step.job}" for step in found.steps for before in step.after]
    used = {_look(runs) for runs in runs_of.values()} - {None}
    lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items() if name in used]
    return "\n".join(lines)


def _look(runs: list[dict[str, Any]]) -> str | None:
    if not runs:
        return None
    states = {run["state"] for run in runs}
    if states & {"failed", "refused", "cancelled", "dead"}:
        return "bad"
    if any(run["blocked_by"] for run in runs):
        return "blocked"
    return "done" if states == {"done"} else "open"
