"""Command that looks at purges: `ocd purge plan`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click
from rich.markup import escape
from sqlalchemy import Connection

from ocd.core.clock import utc_now
from ocd.core.db import now_of
from ocd.core.errors import PolicyRefused
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger.windows import Window
from ocd.lifecycle import policy as rules
from ocd.lifecycle import purge as purges
from ocd.lifecycle import trust
from tasks import runtime
from tasks.commands.look import json_option
from tasks.commands.order import chosen_window
from tasks.lifecycle import purge as job
from tasks.lifecycle import purge_terms
from tasks.render import as_json, console, plain_table


@click.group(epilog="Example: ocd purge plan agent_queries")
def purge() -> None:
    """Look at what a purge would delete; `ocd run lifecycle.purge` deletes it."""


@purge.command(epilog="Example: ocd purge plan agent_queries --days 60")
@click.argument("dataset", required=False)
@click.option("--window", help="The window, such as 2026-11-23. Default: the last closed one.")
@click.option(
    "--days", type=int, default=0, help="Instead of the shortest period. Default: policy."
)
@json_option
def plan(dataset: str | None, window: str | None, days: int, is_json: bool) -> None:
    """Say per rule what a purge would delete, what it would ask, and what would refuse it."""
    chosen = [dataset_named(dataset)] if dataset else [one for one in DATASETS if one.retention]
    during = chosen_window(job.cadence, window)
    with runtime.engine("cli", with_redis=False).connect() as conn:
        skew = utc_now() - now_of(conn)
        conn.rollback()
        terms = purge_terms(runtime.settings(with_redis=False), days, skew=skew)
        found = [_planned(conn, one, during, terms) for one in chosen]
    if is_json:
        as_json(found)
    else:
        _show(found)


def _planned(
    conn: Connection, dataset: Dataset, window: Window, terms: purges.Terms
) -> dict[str, Any]:
    """Return the plan and why it would be refused; a plan without proof of a backup is shown all the same."""
    now = now_of(conn)
    conn.rollback()
    try:
        report = purges.plan(conn, dataset, now=now, window=window, terms=terms, is_proved=False)
    except PolicyRefused as refusal:
        return {"dataset": dataset.name, "refused": refusal.message}
    finally:
        conn.rollback()
    return asdict(report) | {
        "share_percent": 100 * report.rows / max(1, report.table_rows),
        "refused": _unproved(conn, dataset, window, now, terms.trust),
    }


def _unproved(
    conn: Connection, dataset: Dataset, window: Window, now: datetime, within: timedelta
) -> str | None:
    try:
        trust.check_verified(conn, dataset, now=now, window=window, trust=within)
    except PolicyRefused as refusal:
        return refusal.message
    finally:
        conn.rollback()
    return None


def _show(found: list[dict[str, Any]]) -> None:
    table = plain_table(
        "dataset", "rows", "of", "%", "MB", "oldest", "newest", "per rule", "remarks",
        right=frozenset({"rows", "of", "%", "MB"}),
    )  # fmt: skip
    for one in found:
        if "rows" in one:
            table.add_row(one["dataset"], *_numbers(one), escape("; ".join(_remarks(one))))
        else:
            table.add_row(one["dataset"], *[""] * 7, escape(one["refused"]))
    console().print(table)


def _numbers(one: dict[str, Any]) -> list[str]:
    return [
        f"{one['rows']:,}",
        f"{one['table_rows']:,}",
        f"{one['share_percent']:.1f}",
        f"{one['estimated_bytes'] / 1e6:.1f}",
        *(f"{one[end]:%Y-%m-%d}" if one[end] else "" for end in ("oldest", "newest")),
        ", ".join(f"{rule} {rows:,}" for rule, rows in one["rows_by_rule"].items() if rows),
    ]


def _remarks(one: dict[str, Any]) -> list[str]:
    said = [f"{rows:,} {rule} for over 90 days" for rule, rows in one["flagged"].items()]
    if one["sample_keys"]:
        said.append(f"such as {', '.join(map(str, one['sample_keys']))}")
    if one["holds"]:
        numbers = ", ".join(map(str, one["holds"]))
        said.append(f"{one['held_rows']:,} more are held (hold {numbers})")
    if one["asks"]:
        said.append(f"asks: {rules.question(one['dataset'], one['asks'])}")
    if one["refused"]:
        said.append(f"refused: {one['refused']}")
    return said
