"""How runs look on a terminal, and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

COLOURS = {
    "done": "green",
    "failed": "red",
    "dead": "red",
    "refused": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "blue",
    "waiting": "dim",
}


def console() -> Console:
    """Return a console on standard output; wide enough for tables where it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=160)


def as_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def state_text(run: Mapping[str, Any]) -> str:
    """Return the state as people read it: blocked and retried runs say so."""
    state = run["state"]
    if run["blocked_by"]:
        return f"[yellow]blocked by {', '.join(map(str, run['blocked_by']))}[/]"
    if state == "waiting" and run["not_before"]:
        return f"[yellow]retries {run['not_before']:%H:%M:%S}Z[/]"
    if run.get("is_cancelling"):
        return "[yellow]cancelling[/]"
    late = " [red]late[/]" if run.get("late_at") and state not in {"done", "cancelled"} else ""
    return f"[{COLOURS[state]}]{state}[/]{late}"


def took_text(run: Mapping[str, Any]) -> str:
    """Return how long it took: `1.2 s`, `3 m 04 s`, empty before it started."""
    took = run["took_s"]
    if took is None:
        return ""
    return f"{took:.1f} s" if took < 60 else f"{int(took // 60)} m {int(took % 60):02} s"


def span_text(seconds: float) -> str:
    """Return a span of time in its largest unit: `12 s`, `3 min`, `5 h`, `2 d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def subject_text(run: Mapping[str, Any]) -> str:
    """Return what the run works on, in a word or two."""
    return " ".join(map(str, run["subject"].values()))


def evidence_text(run: Mapping[str, Any]) -> str:
    """Return one line: the evidence's summary, the error, or the progress."""
    if run["error_message"]:
        return f"{run['error_class']}: {run['error_message']}"
    if run["evidence"]:
        return str(run["evidence"].get("summary", ""))
    if run["progress_done"] is not None:
        total = f"/{run['progress_total']:,}" if run["progress_total"] else ""
        return f"{run['progress_done']:,}{total} {run['progress_note'] or ''}".strip()
    return ""


def plain_table(
    *columns: str, title: str | None = None, right: frozenset[str] = frozenset()
) -> Table:
    """Return an empty table without lines; long cells fold, `right` are numbers."""
    found = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        found.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=name in right,
        )
    return found


def runs_table(runs: Iterable[Mapping[str, Any]], title: str | None = None) -> Table:
    """Return the table of runs: job, window, state, took, rows, evidence."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("run", "job", "window", "state", "took", "rows", "evidence"):
        table.add_column(
            name,
            justify="right" if name in {"run", "took", "rows"} else "left",
            overflow="fold",
            no_wrap=name in {"run", "window", "took", "rows"},
        )
    for run in runs:
        window = run["window"] + (" (dry)" if run["kind"] == "dry" else "")
        table.add_row(
            str(run["id"]),
            f"{run['job']} [dim]{escape(subject_text(run))}[/]".rstrip(),
            window,
            state_text(run),
            took_text(run),
            "" if run["rows"] is None else f"{run['rows']:,}",
            escape(evidence_text(run)),
        )
    return table
