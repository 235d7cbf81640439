"""Commands of quality: its rules here, what the data is like in modules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from ocd.core.clock import utc_now
from ocd.core.errors import ConfigError
from ocd.ledger import history as runs
from ocd.ledger.evidence import to_evidence
from ocd.quality import results
from ocd.quality.check import report
from ocd.quality.explain import ExplainedTable
from ocd.quality.explain import explain as explained
from ocd.quality.files import chosen, load
from ocd.quality.outside import ask_file
from ocd.quality.policy import Mode
from ocd.quality.results import Judged
from ocd.quality.rule import Rule, Severity
from tasks import runtime
from tasks.commands.cleanse import cleanse
from tasks.commands.completeness import completeness
from tasks.commands.consistency import consistency
from tasks.commands.look import json_option
from tasks.commands.order import chosen_window, who, workers
from tasks.commands.profile import profile
from tasks.commands.suggest import suggest
from tasks.follow import follow
from tasks.job import job_named
from tasks.publish import place
from tasks.render import as_json, console, plain_table

_COLOURS = {"block": "bold red", "error": "red", "warn": "yellow", "info": "dim"}
_dataset = click.option("--dataset", default="all", show_default=True, help="One table, or all.")


@click.group(epilog="Example: ocd quality run --fail-on error")
def quality() -> None:
    """Check the data against its rules, see what it is like, and mend it."""


@quality.command(epilog="Example: ocd quality run --dataset agent_feedback --fail-on error")
@_dataset
@click.option(
    "--mode",
    type=click.Choice([one.value for one in Mode]),
    default=Mode.FULL.value,
    show_default=True,
    help="Every row, only new ones, or whichever the cost suggests.",
)
@click.option(
    "--fail-on",
    type=click.Choice([one.value for one in Severity]),
    help="Exit with 1 when something at least this bad is found. Default: findings are results.",
)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="Ask the rules of --dataset of this Parquet, CSV, JSON-lines or JSON file instead.",
)
@json_option
def run(dataset: str, mode: str, fail_on: str | None, path: Path | None, is_json: bool) -> int:
    """Check now, as a run of its own; remembers, tells and closes gates like the nightly check.

    With --file the rows of a file are asked; that needs no database and leaves no trace.
    """
    rules = chosen(load(), dataset=dataset)
    if path is not None:
        return _run_on_file(path, rules, fail_on, is_json)
    job = job_named("quality.check")
    window = chosen_window(job.cadence, None)
    order = job.order({"dataset": dataset, "mode": mode}, window, requested_by=who())
    with workers():
        (placed,) = place([order], retry_ended=True, force=True)
        (found,) = follow([placed.run_id], quiet=is_json)
    with runtime.engine("cli").connect() as conn:
        whole = runs.run(conn, placed.run_id)
    evidence = whole["evidence"] or {}
    if is_json:
        as_json(whole)
    else:
        _show_findings(evidence)
    return 1 if found["state"] != "done" else _exit_code(evidence, fail_on)


def _run_on_file(path: Path, rules: tuple[Rule, ...], fail_on: str | None, is_json: bool) -> int:
    if len({one.source for one in rules}) > 1:
        raise ConfigError("--file needs --dataset: whose rules the file should meet")
    found = ask_file(path, rules, now=utc_now())
    evidence = to_evidence(report([found], [Judged(one) for one in found.outcomes]))
    if is_json:
        as_json(evidence)
        return _exit_code(evidence, fail_on)
    _show_findings(evidence)
    if evidence["waiting"]:
        click.echo(f"{evidence['waiting']} rules need other tables: asked in the database only")
    return _exit_code(evidence, fail_on)


def _exit_code(evidence: Mapping[str, Any], fail_on: str | None) -> int:
    order_of = [one.value for one in Severity]
    worst = order_of[order_of.index(fail_on) :] if fail_on else []
    return int(any(evidence["findings_by_severity"].get(one) for one in worst))


def _show_findings(evidence: dict[str, Any]) -> None:
    table = plain_table("severity", "rule", "failed", "share", "keys", right=frozenset({"failed"}))
    for one in evidence.get("findings", ()):
        severity = f"[{_COLOURS[one['severity']]}]{one['severity']}[/]"
        keys = ", ".join(map(str, one["sample_keys"])) or escape(one["detail"] or "")
        table.add_row(severity, one["rule"], f"{one['failed']:,}", f"{one['share']:.2%}", keys)
    if evidence.get("findings"):
        console().print(table)
    for name in evidence.get("unusual", ()):
        click.echo(f"unusual: {name}; see `ocd quality history {name}`")
    for name in evidence.get("left_out", ()):
        click.echo(f"{name} was too dear; `ocd quality run --dataset {name}` asks it anyway")
    if evidence:
        click.echo(evidence["summary"])


@quality.command(epilog="Example: ocd quality explain --dataset agent_feedback")
@_dataset
@click.option("--rule", help="Only this rule.")
@json_option
def explain(dataset: str, rule: str | None, is_json: bool) -> None:
    """Print the SQL that rules are asked with, and what the planner thinks each costs."""
    rules = chosen(load(), dataset=dataset, rule=rule)
    now = runtime.now("cli", with_redis=False)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        found = explained(conn, rules, now=now)
    if is_json:
        as_json([asdict(one) for one in found])
        return
    for one in found:
        _show_table(one)


def _show_table(one: ExplainedTable) -> None:
    about = "" if one.cost is None else f": one scan, cost {one.cost:,.0f}"
    console().print(f"[bold]{one.dataset}[/]{about}")
    table = plain_table("rule", "asked", "cost alone", "sql", right=frozenset({"cost alone"}))
    for rule in one.rules:
        alone = "" if rule.cost is None else f"{rule.cost:,.0f}"
        table.add_row(rule.rule, rule.how, alone, escape(rule.refusal or rule.sql))
    console().print(table)
    if one.sql:
        click.echo(f"{one.sql};\n")


@quality.command(epilog="Example: ocd quality history agent_queries.latency_ms.range --days 7")
@click.argument("rule", required=False)
@_dataset
@click.option("--days", default=30, show_default=True, type=click.IntRange(min=1))
@json_option
def history(rule: str | None, dataset: str, days: int, is_json: bool) -> None:
    """Say how rules did: one rule check by check, else each rule's last answer and its budget."""
    rules = {one.id: one for one in chosen(load(), dataset=dataset, rule=rule)}
    now = runtime.now("cli", with_redis=False)
    only = None if dataset == "all" else dataset
    with runtime.engine("cli", with_redis=False).connect() as conn:
        rows = results.history(conn, now=now, rule=rule, dataset=only, days=days, limit=100_000)
    if is_json:
        as_json(rows)
    elif rule:
        _show_checks(rows)
    else:
        _show_rules(rows, rules, now)


def _show_checks(rows: list[dict[str, Any]]) -> None:
    table = plain_table("checked", "run", "status", "rows", "failed", "value", "usual", "version")
    for one in rows:
        usual = "" if one["usual_low"] is None else f"{one['usual_low']:g} to {one['usual_high']:g}"
        table.add_row(
            f"{one['checked_at']:%Y-%m-%d %H:%M}",
            str(one["run_id"]),
            one["status"] + (" (new rows)" if one["is_only_new"] else ""),
            f"{one['asked_rows']:,}",
            f"{one['failed_rows']:,}",
            "" if one["value"] is None else f"{one['value']:g}",
            usual + (" [yellow]unusual[/]" if one["is_unusual"] else ""),
            one["rule_version"],
        )
    console().print(table) if rows else click.echo("never asked in these days")


def _show_rules(rows: list[dict[str, Any]], rules: Mapping[str, Rule], now: datetime) -> None:
    table = plain_table("rule", "severity", "last", "failed", "checks", "budget used")
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for one in rows:
        by_rule.setdefault(one["rule"], []).append(one)
    for name, rule in rules.items():
        found = by_rule.get(name, [])
        used = results.budget_used(found, rule, now=now)
        last = found[0] if found else None
        table.add_row(
            name,
            rule.severity.value,
            last["status"] if last else "never",
            f"{last['failed_rows']:,}" if last else "",
            str(len(found)),
            "" if used is None else f"{used:.0%}",
        )
    console().print(table)


for _command in (profile, suggest, completeness, consistency, cleanse):
    quality.add_command(_command)
