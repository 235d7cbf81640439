"""How old the newest row of each table is, and who is to be told when it is too old."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import Connection, DateTime, column, func, select, table, text

from ocd.datasets.facts import Dataset, Feed
from ocd.datasets.registry import DATASETS
from ocd.ledger import incidents
from ocd.ledger.run import Run

log = logging.getLogger(__name__)


class State(StrEnum):
    """`empty`: nothing ever came, so there is nothing that stands still."""

    FRESH = "fresh"
    STALE = "stale"
    EMPTY = "empty"


@dataclass(frozen=True)
class Freshness:
    """The newest row of one table, as of the end of the window that was looked at."""

    dataset: str
    state: State
    newest_at: datetime | None
    age_hours: float | None
    limit_hours: float


@dataclass(frozen=True)
class FreshnessReport:
    """How fresh each table is that has a limit."""

    version: ClassVar[int] = 1
    as_of: datetime
    tables: tuple[Freshness, ...]

    @property
    def rows(self) -> int:
        """How many tables were looked at."""
        return len(self.tables)

    @property
    def summary(self) -> str:
        """One line for people."""
        stale = [one.dataset for one in self.tables if one.state is State.STALE]
        said = f"stale: {', '.join(stale)}" if stale else "none stale"
        return f"{len(self.tables)} tables looked at, {said}"


def judge(feed: Feed, newest_at: datetime | None, *, as_of: datetime) -> State:
    """Decide whether a table is fresh; one without a limit always is."""
    if newest_at is None:
        return State.EMPTY
    if feed.fresh_within is None or as_of - newest_at <= feed.fresh_within:
        return State.FRESH
    return State.STALE


def measure(conn: Connection, *, run: Run) -> FreshnessReport:
    """Look at every table with a limit, as of the window's end; a stale one opens its incident.

    The incident closes when the table is fresh again. Commits once.
    """
    as_of = run.window.end
    found = []
    with run.batch(conn) as batch:
        # A login that row security would filter gets an error, not an empty table.
        conn.execute(text("set local row_security = off"))
        for dataset in DATASETS:
            if dataset.feed and dataset.feed.fresh_within:
                found.append(_look(conn, dataset, dataset.feed.fresh_within, as_of))
                _tell(conn, dataset, found[-1], run)
        batch.progress(len(found), len(found), "tables")
    log.info("measured_freshness", extra={"tables": len(found)})
    return FreshnessReport(as_of, tuple(found))


def of_sources(conn: Connection, *, as_of: datetime) -> tuple[Freshness, ...]:
    """Return how fresh each table with a limit is that the outside fills, none of our own tables."""
    ours = frozenset(dataset.name for dataset in DATASETS)
    return tuple(
        _look(conn, dataset, dataset.feed.fresh_within, as_of)
        for dataset in DATASETS
        if dataset.feed and dataset.feed.fresh_within and ours.isdisjoint(dataset.feed.inputs)
    )


def _look(conn: Connection, dataset: Dataset, limit: timedelta, as_of: datetime) -> Freshness:
    source = table(dataset.relation, schema=dataset.schema)
    query = select(func.max(column(dataset.event_time, DateTime(timezone=True)))).select_from(
        source
    )
    newest = conn.execute(query).scalar_one()
    assert dataset.feed is not None, "only tables with a limit are looked at"  # noqa: S101
    age = None if newest is None else max((as_of - newest) / timedelta(hours=1), 0)
    return Freshness(
        dataset.name,
        judge(dataset.feed, newest, as_of=as_of),
        newest,
        None if age is None else round(age, 1),
        limit / timedelta(hours=1),
    )


def _tell(conn: Connection, dataset: Dataset, found: Freshness, run: Run) -> None:
    cause = f"stale:{dataset.name}"
    if found.state is not State.STALE:
        incidents.close(conn, cause)
        return
    inputs = ", ".join(dataset.feed.inputs) if dataset.feed else ""
    incidents.open_finding(
        conn,
        cause,
        run_id=run.id,
        summary=f"{dataset.table}: the newest row is {found.age_hours} hours old, "
        f"at most {found.limit_hours:.0f} are meant; it is filled from {inputs}",
    )
