"""The retention page: how large and how old every table is, what was purged, how well the backups were proved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, ClassVar

from markupsafe import Markup
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
from ocd.lifecycle import rotate
from ocd.lifecycle.purge import PurgeReport

SOURCE = "lifecycle.page"
#: How far back the charts go.
TREND = timedelta(days=90)
#: Bars of a chart, and backups in the table.
SHOWN = 12
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


def write(conn: Connection, *, run: Run, keeper: Keeper, now: datetime, plan: Plan) -> PageReport:
    """Look at every dataset with retention or backup, write the page as an artifact. Commits once."""
    since = now - TREND
    purges = [dict(row) for row in conn.execute(_PURGES, {"since": since}).mappings()]
    made = [one for one in rotate.list_backups(conn)[::-1] if one["taken_at"] >= since]
    asked = approvals.approvals(conn)
    conn.rollback()
    lines = _lines(conn, purges, run.window.end, plan)
    proved = [one for one in made if one["is_equal"]]
    newest = proved[-1] if proved else None
    backlog = sum(one.expired or 0 for one in lines)
    refused = sum(one.refusal is not None for one in lines)
    content = render.render(
        __file__,
        "page.html",
        now=now,
        window=run.window.label,
        run_id=run.id,
        lines=lines,
        backups=made[::-1][:SHOWN],
        newest=newest,
        asked=asked,
        backlog=backlog,
        refused=refused,
        charts=_charts(lines, purges, made, now),
    )
    with run.batch(conn):
        name = f"pages/retention-{run.window.label}.html"
        stored = keeper.put(conn, SOURCE, "page", name, content)
    age_s = (now - newest["taken_at"]).total_seconds() if newest else None
    level = newest["level"] if newest else None
    return PageReport(stored.name, len(lines), backlog, refused, level, age_s)


def _charts(
    lines: list[Line], purges: list[dict[str, Any]], made: list[dict[str, Any]], now: datetime
) -> list[Markup]:
    sizes = sorted(((one.dataset, one.bytes) for one in lines), key=lambda one: -one[1])
    ages = sorted(
        ((one.dataset, (now - one.oldest).total_seconds()) for one in lines if one.oldest),
        key=lambda one: -one[1],
    )
    return [
        charts.bars("Size of each table, with indexes", sizes[:SHOWN], shown=render.size),
        charts.bars("Age of the oldest row", ages[:SHOWN], shown=render.span),
        charts.lines("Rows purged per night", _purged(purges)),
        charts.lines("Rows left for the next night", [_left(purges)]),
        charts.lines(
            "Time to restore everything (RTO)", [_trend(made, "restore_s")], shown=render.span
        ),
        charts.lines("Size of each backup", [_trend(made, "stored_bytes")], shown=render.size),
    ]


def _lines(
    conn: Connection, purges: Sequence[dict[str, Any]], window_end: datetime, plan: Plan
) -> list[Line]:
    shown = [one for one in DATASETS if one.retention or one.is_backed_up]
    sizes = {
        row.name: row for row in conn.execute(_TABLES, {"tables": [one.table for one in shown]})
    }
    conn.rollback()
    last = {one["dataset"]: one for one in purges}  # the newest window comes last
    return [
        _line(conn, one, sizes[one.table], last.get(one.name), window_end, plan) for one in shown
    ]


def _line(
    conn: Connection,
    dataset: Dataset,
    size: Any,
    last: dict[str, Any] | None,
    window_end: datetime,
    plan: Plan,
) -> Line:
    found, refusal = None, None
    if dataset.retention:
        try:
            found = plan(conn, dataset)
        except PolicyRefused as error:
            refusal = error.message
    conn.rollback()
    return Line(
        dataset.name,
        _kept(dataset, window_end, found.cutoffs if found else {}),
        size.bytes,
        found.table_rows if found else size.rows,
        _oldest(conn, dataset),
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


def _kept(dataset: Dataset, window_end: datetime, cutoffs: Mapping[str, datetime]) -> str:
    """Return the periods of a dataset's rules in words, as the plan applies them where there is one."""
    if dataset.retention is None:
        return "for ever"
    periods = {
        rule.name: window_end - cutoffs[rule.name] if rule.name in cutoffs else rule.keep
        for rule in dataset.retention.rules
    }
    return ", ".join(
        f"{name} {period.days} d" if period else f"{name} without end"
        for name, period in periods.items()
    )


def _purged(purges: Iterable[dict[str, Any]]) -> list[Series]:
    """Return the nights' deleted rows of the datasets that lost most; the others are on the ledger."""
    points: dict[str, list[tuple[datetime, float | None]]] = {}
    for one in purges:
        rows = one["rows"] if one["state"] == "done" else None
        points.setdefault(one["dataset"], []).append((one["window_start"], rows))
    most = sorted(points, key=lambda name: -sum(rows or 0 for _, rows in points[name]))
    return [Series(name, points[name]) for name in most[: charts.MAX_SERIES]]


def _left(purges: Iterable[dict[str, Any]]) -> Series:
    """Return what all purges of each night left past its time; unknown where one did not end well."""
    nights = [
        (at, list(night)) for at, night in groupby(purges, key=lambda one: one["window_start"])
    ]
    return Series(
        "rows",
        [
            (at, sum(one["left_over"] or 0 for one in night) if _all_done(night) else None)
            for at, night in nights
        ],
    )


def _all_done(night: Iterable[dict[str, Any]]) -> bool:
    return all(one["state"] == "done" for one in night)


def _trend(made: Iterable[dict[str, Any]], field: str) -> Series:
    return Series(
        "backups",
        [(one["taken_at"], None if one[field] is None else float(one[field])) for one in made],
    )
