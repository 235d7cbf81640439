"""How `ocd status` looks on a terminal; fits 100 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from ocd.ledger.reconcile import SILENT_S
from ocd.sources.freshness import SourceAge
from tasks.overview import SEVERITIES, Overview
from tasks.render import evidence_text, plain_table, span_text, state_text, subject_text

COLOURS = {"warning": "yellow", "error": "red", "critical": "bold red"}
#: A list shows this many, and how many more there are.
SHOWN = 10


def glance(found: Overview) -> Iterator[RenderableType]:
    """Yield what to print, the most urgent first; what is empty is left out."""
    yield f"{found.snapshot.at:%Y-%m-%d %H:%M:%S}Z  {_headline(found)}"
    yield _facts(found)
    yield ""
    yield _jobs(found)
    for rows, table in (
        (found.incidents, incidents_table),
        (found.bad, _bad),
        (found.running(), _running),
    ):
        if rows:
            yield ""
            yield table(rows[:SHOWN])
            if len(rows) > SHOWN:
                yield f"[dim]… and {len(rows) - SHOWN} more[/]"


def _headline(found: Overview) -> str:
    if found.is_well():
        return "[bold green]all is well[/]"
    counts = found.severities()
    words = [
        f"[{COLOURS[name]}]{counts[name]} {name}[/]"
        for name in reversed(SEVERITIES)
        if counts[name]
    ]
    return (
        f"[bold red]open incidents:[/] {', '.join(words)}"
        if words
        else "[bold yellow]needs a look[/]"
    )


def _facts(found: Overview) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("heard", "   ".join(_heard(name, age) for name, age in found.heard().items()))
    table.add_row("queues", _queues(found))
    table.add_row("sources", "   ".join(_source(one) for one in found.sources))
    for one in found.pauses:
        name = "everything" if one["name"] == "*" else one["name"]
        since = f"since {one['paused_at']:%Y-%m-%d %H:%M}Z by {one['paused_by']}"
        table.add_row("paused", f"[yellow]{name}[/] {since}: {escape(one['reason'])}")
    for one in found.backfills:
        states = ", ".join(f"{n} {state}" for state, n in sorted(one["states"].items()))
        windows = f"{one['first_label']} … {one['last_label']}"
        table.add_row("backfill", f"{one['id']} {one['job']} {windows}: {states or 'no runs'}")
    return table


def _source(one: SourceAge) -> str:
    if one.age_s is None:
        return f"{one.source} [yellow]never[/]"
    return f"{one.source} [{'red' if one.is_stale else 'green'}]{span_text(one.age_s)} ago[/]"


def _heard(name: str, age_s: float | None) -> str:
    if age_s is None:
        return f"{name} [yellow]never[/]"
    return f"{name} [{'red' if age_s > SILENT_S else 'green'}]{span_text(age_s)} ago[/]"


def _queues(found: Overview) -> str:
    parts = [_queue(row) for row in found.queues()]
    if found.lengths is None:
        parts.append("[red]Redis does not answer[/]")
    return "   ".join(parts)


def _queue(row: dict[str, Any]) -> str:
    facts = [f"oldest {span_text(row['oldest_s'])}"] if row["oldest_s"] is not None else []
    if row["in_redis"] is not None and row["in_redis"] != row["queued"]:
        facts.append(f"{row['in_redis']} in Redis")
    return f"{row['queue']} {row['queued']:,}" + (f" ({', '.join(facts)})" if facts else "")


def _jobs(found: Overview) -> Table:
    table = plain_table(
        "job",
        "last good window",
        "next due",
        "open",
        "late",
        "bad",
        right=frozenset({"open", "late", "bad"}),
    )
    for row in found.jobs():
        runs = row["runs"]
        bad = sum(runs.get(state, 0) for state in ("failed", "refused", "dead"))
        table.add_row(
            row["job"],
            _good(row),
            _due(row),
            _number(sum(runs.values()) - bad, "cyan"),
            _number(row["late"], "red"),
            _number(bad, "red"),
        )
    return table


def _good(row: dict[str, Any]) -> str:
    text = row["last_good"] or "never"
    if row["is_overdue"]:
        return f"[red]{text}, overdue[/]"
    return text if row["last_good"] else f"[yellow]{text}[/]"


def _due(row: dict[str, Any]) -> str:
    if row["is_paused"]:
        return "[yellow]paused[/]"
    return f"{row['next_due']:%Y-%m-%d %H:%M}Z" if row["next_due"] else "[dim]on demand[/]"


def _number(number: int, colour: str) -> str:
    return f"[{colour}]{number:,}[/]" if number else "[dim]0[/]"


def incidents_table(rows: list[dict[str, Any]]) -> Table:
    """Return incidents: severity, since when, how often seen, what it is and the page that helps."""
    table = plain_table(
        "incident", "severity", "since", "times", "what", right=frozenset({"incident", "times"})
    )
    for row in rows:
        closed = (
            f"\n[green]closed {row['closed_at']:%Y-%m-%d %H:%M}Z[/]" if row["closed_at"] else ""
        )
        table.add_row(
            str(row["id"]),
            f"[{COLOURS[row['severity']]}]{row['severity']}[/]",
            f"{row['opened_at']:%m-%d %H:%M}Z",
            f"{row['times']:,}",
            f"{escape(row['summary'])}\n[dim]{row['how_to']}[/]{closed}",
        )
    return table


def _bad(rows: list[dict[str, Any]]) -> Table:
    table = plain_table("run", "window", "state", right=frozenset({"run"}))
    table.add_column("needs a person", no_wrap=True, overflow="ellipsis", ratio=1)
    table.expand = True
    for row in rows:
        name = f"{row['job']} {subject_text(row)}".strip()
        table.add_row(
            str(row["id"]),
            row["window"],
            state_text(row),
            f"{escape(name)}: {escape(evidence_text(row))}",
        )
    return table


def _running(rows: list[dict[str, Any]]) -> Table:
    table = plain_table("run", "running", "window", "for", "progress", right=frozenset({"run"}))
    for row in rows:
        late = f" [red]lease over for {span_text(row['lease_overdue_s'])}[/]"
        table.add_row(
            str(row["run"]),
            f"{row['job']} {escape(subject_text(row))}".strip(),
            row["window"],
            span_text(row["runs_s"]),
            escape(_progress(row)) + (late if row["lease_overdue_s"] else ""),
        )
    return table


def _progress(row: dict[str, Any]) -> str:
    if row["done"] is None:
        return "no progress reported yet"
    of = f"/{row['total']:,} ({100 * row['done'] // row['total']} %)" if row["total"] else ""
    return f"{row['done']:,}{of} {row['note'] or ''}".strip()
