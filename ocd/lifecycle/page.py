"""The retention page: how large and how old every table is, what was purged, how well the backups were proved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from ocd.core.errors import PolicyRefused
from ocd.core.pages import charts, render
from ocd.core.pages.charts import Series
from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.ledger import approvals
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import backups
from ocd.lifecycle.purge import PurgeReport

log = logging.getLogger(__name__)

SOURCE = "lifecycle.page"
#: How far back the charts go.
TREND = timedelta(days=90)
#: A row that is past its time for longer than this is overdue: the audit opens an incident.
OVERDUE = timedelta(days=7)
_TABLES = statement(__file__, "list_tables.sql")
_PURGES = statement(__file__, "list_purges.sql")

#: What a purge of the dataset would do now; raises PolicyRefused where it may not.
Plan = Callable[[Connection, Dataset], PurgeReport]


@dataclass(frozen=True)
class PageReport:
    """What the page says in a nutshell, and where it lies."""

    version: ClassVar[int] = 1
    page: str
    tables: int
    backlog: int
    refused: int
    backup_level: int | None
    backup_age_s: float | None

    @property
    def rows(self) -> int:
        """Tables on the page."""
        return self.tables

    @property
    def summary(self) -> str:
        """One line for people."""
        proof = "none proved" if self.backup_level is None else f"L{self.backup_level}"
        return f"{self.tables} tables, {self.backlog:,} rows past their time, newest backup {proof}"


@dataclass(frozen=True)
class Line:
    """One table on the page; `expired` is None where the dataset is kept for ever or its plan is refused."""

    dataset: str
    keep: str
    bytes: int
    rows: int | None
    oldest: datetime | None
    expired: int | None
    oldest_expired: datetime | None
    held: int
    refusal: str | None
    last: dict[str, Any] | None

    @property
    def is_overdue(self) -> bool:
        """Whether rows stayed although a purge ran: work for a person."""
        return bool(self.expired and self.last and self.last["state"] != "done")


def write(conn: Connection, *, run: Run, keeper: Keeper, now: datetime, plan: Plan) -> PageReport:
    """Look at every dataset with retention or backup, write the page as an artifact. Commits once."""
    since = now - TREND
    purges = [dict(row) for row in conn.execute(_PURGES, {"since": since}).mappings()]
    made = backups.listed(conn, since=since)
    asked = approvals.approvals(conn)
    conn.rollback()
    lines = _lines(conn, purges, plan)
    proved = [one for one in made if one["level"]]
    page = render.render(
        __file__,
        "page.html",
        now=now,
        window=run.window.label,
        run_id=run.id,
        lines=lines,
        backups=made[::-1][:14],
        newest=proved[-1] if proved else None,
        asked=asked,
        backlog=sum(one.expired or 0 for one in lines),
        refused=[one for one in lines if one.refusal],
        charts=[
            charts.bars(
                "Size of each table, with indexes",
                [(one.dataset, one.bytes) for one in sorted(lines, key=lambda one: -one.bytes)[:12]],
                shown=render.size,
            ),
            charts.lines("Rows purged per night", _purged(purges)),
            charts.lines("Seconds to restore everything (RTO)", [_trend("restore", made, "restore_s")], shown=render.span),
            charts.lines("Size of each backup", [_trend("backup", made, "bytes")], shown=render.size),
        ],
    )  # fmt: skip
    name = f"pages/retention-{run.window.label}.html"
    with run.batch(conn):
        stored = keeper.put(conn, SOURCE, "page", name, page)
    newest = proved[-1] if proved else None
    return PageReport(
        stored.name,
        len(lines),
        sum(one.expired or 0 for one in lines),
        sum(one.refusal is not None for one in lines),
        newest["level"] if newest else None,
        (now - newest["made_at"]).total_seconds() if newest else None,
    )


def _lines(conn: Connection, purges: Sequence[dict[str, Any]], plan: Plan) -> list[Line]:
    shown = [one for one in DATASETS if one.retention or one.is_backed_up]
    sizes = {
        row.name: row for row in conn.execute(_TABLES, {"tables": [one.table for one in shown]})
    }
    conn.rollback()
    last = {one["dataset"]: one for one in purges}  # the newest window comes last
    return [_line(conn, one, sizes[one.table], last.get(one.name), plan) for one in shown]


def _line(
    conn: Connection, dataset: Dataset, size: Any, last: dict[str, Any] | None, plan: Plan
) -> Line:
    found, refusal = None, None
    if dataset.retention:
        try:
            found = plan(conn, dataset)
        except PolicyRefused as error:
            refusal = error.message
    conn.rollback()
    oldest = _oldest(conn, dataset)
    return Line(
        dataset.name,
        _kept(dataset),
        size.bytes,
        size.rows,
        oldest,
        found.rows if found else None,
        found.oldest if found else None,
        found.held_rows if found else 0,
        refusal,
        last,
    )


def _oldest(conn: Connection, dataset: Dataset) -> datetime | None:
    conn.execute(text("set local row_security = off"))
    query = f"select min({dataset.event_time}) from {dataset.table}"  # noqa: S608 - our own facts
    found: datetime | None = conn.execute(text(query)).scalar()
    conn.rollback()
    return found


def _kept(dataset: Dataset) -> str:
    """Return the periods of a dataset's rules in words, the usual one last."""
    if dataset.retention is None:
        return "for ever"
    return ", ".join(
        f"{rule.name} {rule.keep.days} d" if rule.keep else f"{rule.name}: no end"
        for rule in dataset.retention.rules
    )


def _purged(purges: Iterable[dict[str, Any]]) -> list[Series]:
    """Return the nights' deleted rows of the datasets that lost most; the others are on the ledger."""
    points: dict[str, list[tuple[datetime, float | None]]] = {}
    for one in purges:
        rows = one["rows"] if one["state"] == "done" else None
        points.setdefault(one["dataset"], []).append((one["window_start"], rows))
    most = sorted(points, key=lambda name: -sum(rows or 0 for _, rows in points[name]))
    return [Series(name, points[name]) for name in most[: charts.MAX_SERIES]]


def _trend(name: str, made: Iterable[dict[str, Any]], field: str) -> Series:
    return Series(
        name, [(one["made_at"], None if one[field] is None else float(one[field])) for one in made]
    )
