"""Delete what is past retention: every row goes into an archive that was read back before the commit."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import psycopg
from sqlalchemy import Connection, text

from ocd.core.errors import PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.ledger import approvals, holds, retention
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Batch, Run
from ocd.ledger.windows import Window
from ocd.lifecycle import policy, rows, tidy, trust
from ocd.lifecycle.archive import Archive
from ocd.lifecycle.backup import live_columns
from ocd.lifecycle.pace import Pace
from ocd.lifecycle.policy import Limits, PurgePlan
from ocd.lifecycle.rows import Counted, Keys

log = logging.getLogger(__name__)

_LAST_CUTOFFS = statement(__file__, "last_cutoffs.sql")


@dataclass(frozen=True)
class Terms:
    """What a purge keeps to: an operator's settings, and what was ordered.

    `days` counts in place of the dataset's shortest period; `clock_skew` is how far the worker's clock
    is ahead of the database's.
    """

    trust: timedelta = timedelta(hours=26)
    limits: Limits = field(default_factory=Limits)
    days: int | None = None
    clock_skew: timedelta = timedelta()
    batch_rows: int = 5000
    budget: timedelta = timedelta(hours=2)


@dataclass(frozen=True)
class PurgeReport:
    """What was deleted, or would be.

    `rows_by_rule` is the plan's count. `asks` are the limits that it passes. Of a real run: rows that
    somebody locked to the end, `backlog` for the next night where the time was up, and `changed`: how
    many rows fewer were past retention when their batch came than when they were counted.
    """

    version: ClassVar[int] = 2
    dataset: str
    is_dry: bool
    rows: int
    rows_by_rule: dict[str, int]
    table_rows: int
    estimated_bytes: int
    oldest: datetime | None
    newest: datetime | None
    cutoffs: dict[str, datetime]
    predicate_sha256: str
    policy_sha256: str
    holds: tuple[int, ...]
    held_rows: int
    flagged: dict[str, int]
    asks: dict[str, int]
    sample_keys: tuple[int, ...] = ()
    chunks: int = 0
    archive: str | None = None
    skipped_locked: int = 0
    backlog: int = 0
    changed: int = 0
    is_vacuumed: bool = False
    dead_rows: int | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would be deleted" if self.is_dry else "deleted and archived"
        more = {
            "held": self.held_rows,
            "locked": self.skipped_locked,
            "left for the next night": self.backlog,
        }
        rest = "".join(f", {count:,} {what}" for what, count in more.items() if count)
        return f"{self.rows:,} rows of {self.dataset} {verb}{rest}"


def plan(
    conn: Connection,
    dataset: Dataset,
    *,
    now: datetime,
    window: Window,
    terms: Terms,
    is_proved: bool = True,
) -> PurgeReport:
    """Count what a purge of this window would delete, with the same predicate. Changes nothing.

    Raises what the purge would raise, except for limits: those are told. Whoever only wants to look
    asks for no proof of a backup.
    """
    found = _planned(conn, dataset, now=now, window=window, terms=terms)
    if is_proved:
        trust.check_verified(conn, dataset, now=now, window=window, trust=terms.trust)
    counted = rows.count(conn, dataset, found)
    told = _report(
        conn, dataset, found, counted, _asks(conn, dataset, found, counted, window, terms)
    )
    return replace(told, sample_keys=tuple(rows.sample_keys(conn, dataset, found)))


def purge(
    conn: Connection,
    dataset: Dataset,
    *,
    run: Run,
    store: Store,
    keeper: Keeper,
    now: datetime,
    terms: Terms,
) -> PurgeReport:
    """Delete in fenced batches; goes on where an earlier attempt stopped. Commits every batch.

    Raises BackupMissing where no trusted verification exists, ApprovalNeeded where the whole plan passes
    a limit that nobody approved.
    """
    found = _planned(conn, dataset, now=now, window=run.window, terms=terms)
    trust.check_verified(conn, dataset, now=now, window=run.window, trust=terms.trust)
    archive = Archive(dataset, run, store, keeper)
    before = archive.batches(conn)
    counted = _with_deleted(rows.count(conn, dataset, found), before)
    asks = _asks(conn, dataset, found, counted, run.window, terms)
    words = policy.question(dataset.name, asks)
    approvals.require(conn, run, fingerprint=found.sha256, asks=asks, question=words)
    trust.check_copy(conn, dataset, store, window=run.window)
    attempt = _Attempt(conn, dataset, found, run, archive, terms, counted, before)
    attempt.carry_out()
    told = replace(_report(conn, dataset, found, counted, asks), **attempt.outcome())
    batches = archive.batches(conn)
    archive.remove_orphans(batches)
    with run.batch(conn) as batch:
        sealed = archive.seal(conn, found, attempt.columns, batches)
        batch.report = told = replace(told, archive=sealed)
    log.info(
        "purged", extra={"dataset": dataset.name, "rows": attempt.done, "chunks": attempt.last}
    )
    return told


def _planned(
    conn: Connection, dataset: Dataset, *, now: datetime, window: Window, terms: Terms
) -> PurgePlan:
    """Return the plan; raises PolicyRefused where there is nothing to delete, ever or while a hold lasts."""
    found = _by_policy(conn, dataset, now=now, window=window, terms=terms)
    if found is None:
        raise PolicyRefused(f"{dataset.name} is kept for ever")
    if any(holds.of_row(one) == holds.Held() for one in holds.holds(conn, dataset=dataset.name)):
        raise PolicyRefused(
            f"{dataset.name}: a legal hold covers every row, so nothing is deleted; see `ocd hold list`"
        )
    return found


def _by_policy(
    conn: Connection, dataset: Dataset, *, now: datetime, window: Window, terms: Terms
) -> PurgePlan | None:
    return policy.plan_purge(
        dataset,
        window_end=window.end,
        now=now,
        lengthened=retention.lengthened(conn, dataset.name),
        days=terms.days,
    )


def _with_deleted(counted: Counted, batches: list[dict[str, Any]]) -> Counted:
    """Add what earlier attempts of the run deleted: limits are about the whole plan, never about the rest."""
    deleted = sum(one["rows"] for one in batches)
    if not deleted:
        return counted
    by_rule = counted.rows_by_rule | {"earlier attempts": deleted}
    return replace(counted, table_rows=counted.table_rows + deleted, rows_by_rule=by_rule)


def _asks(
    conn: Connection,
    dataset: Dataset,
    found: PurgePlan,
    counted: Counted,
    window: Window,
    terms: Terms,
) -> dict[str, int]:
    last = conn.execute(
        _LAST_CUTOFFS, {"dataset": dataset.name, "window_start": window.start}
    ).scalar()
    conn.rollback()
    return policy.passed_limits(
        found,
        terms.limits,
        rows=counted.rows,
        table_rows=counted.table_rows,
        clock_skew=terms.clock_skew,
        last_cutoffs={rule: datetime.fromisoformat(at) for rule, at in (last or {}).items()},
    )


def _report(
    conn: Connection, dataset: Dataset, found: PurgePlan, counted: Counted, asks: dict[str, int]
) -> PurgeReport:
    return PurgeReport(
        dataset=dataset.name,
        is_dry=True,
        rows=counted.rows,
        rows_by_rule=counted.rows_by_rule,
        table_rows=counted.table_rows,
        estimated_bytes=rows.estimated_bytes(conn, dataset, counted),
        oldest=counted.oldest,
        newest=counted.newest,
        cutoffs=found.cutoffs,
        predicate_sha256=found.sha256,
        policy_sha256=found.policy_sha256,
        holds=tuple(one["id"] for one in holds.holds(conn, dataset=dataset.name)),
        held_rows=counted.held_rows,
        flagged=counted.flagged,
        asks=asks,
    )


@dataclass
class _Attempt:
    """One attempt at a plan: its batches, and what it could not take."""

    conn: Connection
    dataset: Dataset
    plan: PurgePlan
    run: Run
    archive: Archive
    terms: Terms
    counted: Counted
    before: list[dict[str, Any]]
    skipped: int = 0
    is_finished: bool = False
    _deferred: list[Keys] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = Pace(self.terms.budget)
        self.size, self._ahead = self.terms.batch_rows, self.counted.keys
        self.columns = live_columns(self.conn, self.dataset)
        self.earlier = self.done = sum(one["rows"] for one in self.before)
        self.last = self.before[-1]["number"] if self.before else 0

    def carry_out(self) -> None:
        """Delete batch by batch, then what was locked the first time; stops where the time is up."""
        while not self.pace.is_over and (keys := self._walk()):
            took_s = self._first_try(keys)
            self.size = policy.next_size(self.size, took_s)
            self.pace.rest(self.conn, self.run, took_s)
        while self._deferred and not self.pace.is_over:
            self._again(self._deferred.pop(0))
        self.is_finished = self._ahead is None and not self._deferred

    def _walk(self) -> Keys | None:
        """Return the next batch's keys, and note what lies ahead of it."""
        if self._ahead is None:
            return None
        keys = rows.next_keys(self.conn, self.dataset, self.plan, self._ahead, self.size)
        self._ahead = None if keys is None else replace(self._ahead, first=keys.last + 1)
        return keys

    def _first_try(self, keys: Keys) -> float:
        """Take a batch, and return how long that took; one with a row that somebody locks is put off."""
        started = time.monotonic()
        try:
            with self.run.batch(self.conn) as batch:
                self._enter()
                self._take(batch, keys, skips_locked=False)
        except psycopg.errors.LockNotAvailable:
            self._deferred.append(keys)
        return time.monotonic() - started

    def _again(self, keys: Keys) -> None:
        """Take the rows of a batch that was put off which nobody locks now; count the others."""
        may_lock = self.conn.execute(
            text("select has_table_privilege(:table, 'UPDATE')"), {"table": self.dataset.table}
        ).scalar_one()
        try:
            with self.run.batch(self.conn) as batch:
                self._enter()
                self._take(batch, keys, skips_locked=may_lock)
        except psycopg.errors.LockNotAvailable:
            log.warning("rows_stay_locked", extra={"dataset": self.dataset.name})
        rows.be_careful(self.conn)
        self.skipped += rows.count_in(self.conn, self.dataset, self.plan, keys)
        self.conn.rollback()

    def _enter(self) -> None:
        """Look again, in the batch's own transaction, whether it may be done at all."""
        rows.be_careful(self.conn)
        trust.check_verified(
            self.conn,
            self.dataset,
            now=self.run.now,
            window=self.run.window,
            trust=self.terms.trust,
        )
        found = _by_policy(
            self.conn, self.dataset, now=self.run.now, window=self.run.window, terms=self.terms
        )
        if found != self.plan:
            raise PolicyRefused(
                f"{self.dataset.name}: the policy changed meanwhile; `ocd rerun {self.run.id}` heeds it"
            )

    def _take(self, batch: Batch, keys: Keys, *, skips_locked: bool) -> None:
        deletion = rows.deletion(
            self.dataset, self.plan, keys, self.columns, skips_locked=skips_locked
        )
        taken = self.archive.take(self.conn, deletion, keys, self.last + 1)
        self.last += bool(taken)
        self.done += taken
        batch.progress(self.done, self.counted.rows, self._pace_in_words())

    def _pace_in_words(self) -> str:
        per_s = (self.done - self.earlier) / max(self.pace.took_s, 0.001)
        left_s = max(0, self.counted.rows - self.done) / max(per_s, 1.0)
        return f"{self.dataset.name}, {per_s:,.0f} rows/s, {left_s:,.0f} s left"

    def outcome(self) -> dict[str, Any]:
        """Return what a report says of a real run; cleans up behind it first."""
        missing = self.counted.rows - self.done - self.skipped
        is_vacuumed = self.done > 0 and tidy.vacuum(self.run.engine, self.dataset)
        return {
            "is_dry": False,
            "rows": self.done,
            "chunks": self.last,
            "skipped_locked": self.skipped,
            "backlog": 0 if self.is_finished else max(0, missing),
            "changed": missing if self.is_finished else 0,
            "is_vacuumed": is_vacuumed,
            "dead_rows": tidy.dead_rows(self.conn, self.dataset),
        }
