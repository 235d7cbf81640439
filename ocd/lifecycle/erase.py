"""Erase a person or a conversation: tables, archives, other stores at once; backups by tombstone and early expiry.

Whoever is erased stands in the request's row until the last step, which forgets it; runs, logs, evidence,
messages and receipts know numbers and keyed hashes only. Each step may be repeated, so that a killed run is
finished by the next one, and nothing counts as done before everything is.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken, PolicyRefused
from ocd.core.signing import SigningKeys
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.datasets.subjects import CUSTOMER_PREFIX, TRACED, Kind, Subject
from ocd.ledger import holds
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.lifecycle import (
    copying,
    deadlines,
    erasures,
    portions,
    rewriting,
    search,
    tombstones,
    traced,
)
from ocd.lifecycle.erasures import Request
from ocd.lifecycle.tombstones import HashKey

log = logging.getLogger(__name__)

SOURCE = "lifecycle.erase"
BATCH_ROWS = 2_000
#: Receipts outlive every backup, and the time in which anybody may ask what became of a request.
RECEIPT_KEEP = timedelta(days=3 * 365)
#: Names of backups that a report lists; the receipt has all.
SHOWN_BACKUPS = 40
#: Stands where a released hold named who was erased.
ERASED = "(erased)"


class Eraser(Protocol):
    """Another store that may hold a person's rows, such as exports or a lake; the entrance passes it in."""

    name: str

    def count(self, subjects: tuple[Subject, ...]) -> int:
        """Return how many rows of the subjects it holds."""
        ...

    def erase(self, subjects: tuple[Subject, ...]) -> int:
        """Remove them, and return how many; a second call finds none."""
        ...


@dataclass(frozen=True)
class EraseReport:
    """What was erased, or would be: rows per table, per archived table, per backup, per other store."""

    version: ClassVar[int] = 1
    request: int
    is_dry: bool
    subjects: int
    tables: dict[str, int]
    archived: dict[str, int]
    backups: dict[str, int]
    others: dict[str, int]
    gone_by: datetime | None = None
    receipt: str | None = None
    more_backups: int = 0

    @property
    def rows(self) -> int:
        """Rows that went, or would: backups keep theirs until they expire."""
        return sum(self.tables.values()) + sum(self.archived.values()) + sum(self.others.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would be erased" if self.is_dry else "erased"
        backups = len(self.backups) + self.more_backups
        held = (
            f"; backups that hold it, {backups}, go by {self.gone_by:%Y-%m-%d}"
            if self.gone_by
            else ""
        )
        return f"erasure {self.request}: {self.rows:,} rows {verb}{held}"


@dataclass(frozen=True)
class Found:
    """Rows per table, per archived table, per backup, per other store; none where there are none."""

    tables: dict[str, int]
    archived: dict[str, int]
    backups: dict[str, int]
    others: dict[str, int]


def plan(
    conn: Connection,
    number: int,
    *,
    run: Run,
    store: Store,
    keys: SigningKeys,
    now: datetime,
    erasers: tuple[Eraser, ...],
) -> EraseReport:
    """Count what an erasure would touch. Changes nothing; raises PolicyRefused where a hold stops it."""
    request = erasures.open_request(conn, number)
    subjects = search.with_related(conn, store, keys, request.subjects)
    _require_no_hold(conn, store, subjects, run)
    found = Found(
        search.in_tables(conn, subjects),
        search.in_archives(conn, store, subjects, run),
        search.in_backups(conn, store, keys, subjects, run),
        {one.name: one.count(subjects) for one in erasers},
    )
    gone_by = deadlines.backups_gone_by(request.clock, now=now) if found.backups else None
    return _report(request, subjects, found, gone_by, is_dry=True)


def erase(
    conn: Connection,
    number: int,
    *,
    run: Run,
    store: Store,
    keeper: Keeper,
    keys: SigningKeys,
    key: str | None,
    now: datetime,
    erasers: tuple[Eraser, ...],
) -> EraseReport:
    """Erase what request `number` names; commits step by step and may be repeated at any point.

    Raises PolicyRefused before the first step where a legal hold covers a row.
    """
    hash_key = tombstones.key_of(key)
    request = erasures.open_request(conn, number)
    subjects = search.with_related(conn, store, keys, request.subjects)
    _require_no_hold(conn, store, subjects, run)
    with run.batch(conn):
        erasures.widen(conn, number, subjects)
        tombstones.place(conn, number, subjects, hash_key)
    tables = dict((run.checkpoint or {}).get("tables", {}))
    for dataset in reversed(TRACED):  # a table's rows go before those that they refer to
        _erase_rows(conn, dataset, subjects, run, tables)
    with run.batch(conn) as batch:
        _mark_erased(conn, number)
        batch.checkpoint = {"tables": tables}
    _erase_archives(conn, store, subjects, request, run, keeper)
    found = Found(
        tables,
        rewriting.removed_by(conn, number),
        search.in_backups(conn, store, keys, subjects, run),
        {one.name: one.erase(subjects) for one in erasers},
    )
    return _finish(conn, request, subjects, found, hash_key, run, store, keeper, now)


def _require_no_hold(
    conn: Connection, store: Store, subjects: tuple[Subject, ...], run: Run
) -> None:
    """Raise PolicyRefused naming the tables in which a legal hold covers a row of a subject."""
    stopped = [
        dataset.name
        for dataset in TRACED
        if search.held_rows(conn, dataset, subjects)
        or _covers_archived(conn, store, dataset, subjects, run)
    ]
    if stopped:
        raise _held(stopped)


def _covers_archived(
    conn: Connection, store: Store, dataset: Dataset, subjects: tuple[Subject, ...], run: Run
) -> bool:
    """Whether an open hold names a subject, or may cover rows of theirs that a purge archived."""
    ids = {
        kind: {one.id for one in subjects if one.kind is kind}
        for kind in (Kind.CONVERSATION, Kind.CUSTOMER)
    }
    held = [holds.of_row(row) for row in holds.holds(conn, dataset=dataset.name)]
    conn.rollback()
    if any(
        one.conversation_id in ids[Kind.CONVERSATION]
        or (one.customer_id or "").removeprefix(CUSTOMER_PREFIX) in ids[Kind.CUSTOMER]
        for one in held
    ):
        return True
    is_open = any(one.conversation_id is None and one.customer_id is None for one in held)
    return is_open and search.has_archived(conn, store, dataset, subjects, run)


def _held(names: list[str]) -> PolicyRefused:
    return PolicyRefused(
        f"a legal hold covers rows in {', '.join(names)}, so nothing more is erased; see `ocd hold list`, "
        "tell the person why it takes longer, and run it again once the hold is released"
    )


def _erase_rows(
    conn: Connection,
    dataset: Dataset,
    subjects: tuple[Subject, ...],
    run: Run,
    tables: dict[str, int],
) -> None:
    """Delete a table's rows of the subjects, a batch at a time, until there is none.

    Rows that a hold covers at that very moment stay; raises PolicyRefused where there are any.
    """
    condition, values = traced.condition(dataset, subjects)
    query = sql.SQL(
        "delete from {table} where {key} in (select {key} from {table}"
        " where {key} > %(after)s and {condition} and {free} order by {key} limit {rows}) returning {key}"
    ).format(
        table=copying.table_of(dataset),
        key=sql.Identifier(dataset.key),
        condition=condition,
        free=holds.free(dataset),
        rows=sql.Literal(BATCH_ROWS),
    )
    keys = [-(2**63)]
    while keys:
        with run.batch(conn) as batch:
            conn.execute(text("set local row_security = off"))
            conn.execute(text("set local lock_timeout = '10s'"))
            # Behind the last batch: looking from the beginning would cost every batch those before it.
            rows = copying.cursor_of(conn).execute(query, values | {"after": max(keys)})
            keys = [int(row[0]) for row in rows]
            if keys:
                tables[dataset.name] = tables.get(dataset.name, 0) + len(keys)
            batch.checkpoint = {"tables": tables}
            batch.progress(sum(tables.values()), None, f"rows of {dataset.name} erased")
    if search.held_rows(conn, dataset, subjects):
        raise _held([dataset.name])


def _mark_erased(conn: Connection, number: int) -> None:
    """Note when the tables were empty of the subjects: copies of later hold only what is new."""
    conn.execute(
        text("""
            update ocd.tombstone set erased_at = clock_timestamp()
            where request_id = :id and erased_at is null
        """),
        {"id": number},
    )
    conn.execute(
        text(
            "update ocd.erasure_request set erased_at = coalesce(erased_at, clock_timestamp()) where id = :id"
        ),
        {"id": number},
    )


def _erase_archives(
    conn: Connection,
    store: Store,
    subjects: tuple[Subject, ...],
    request: Request,
    run: Run,
    keeper: Keeper,
) -> None:
    rewriting.remove_replaced(conn, store)
    for dataset in TRACED:
        for portion in portions.archives(conn, store, dataset=dataset.name):
            rewriting.rewrite(
                conn,
                portion,
                subjects,
                request_id=request.number,
                run=run,
                store=store,
                keeper=keeper,
            )


def _finish(
    conn: Connection,
    request: Request,
    subjects: tuple[Subject, ...],
    found: Found,
    key: HashKey,
    run: Run,
    store: Store,
    keeper: Keeper,
    now: datetime,
) -> EraseReport:
    """Write the receipt, shorten the backups, forget who it was; all or nothing. Commits once.

    Raises ContractBroken where rows came in meanwhile: the next run takes them, too.
    """
    left = search.in_tables(conn, subjects)
    if left:
        raise ContractBroken(
            f"rows came into {', '.join(left)} while they were erased; run it again, "
            "and see that the source no longer sends them"
        )
    gone_by = deadlines.backups_gone_by(request.clock, now=now) if found.backups else None
    report = _report(request, subjects, found, gone_by, is_dry=False)
    with run.batch(conn) as batch:
        rewriting.shorten(conn, found.backups, by=gone_by or now)
        _forget_in_holds(conn, subjects)
        receipt = _receipt(conn, request, subjects, found, key, report)
        # The instant makes it the only one, also where numbers began anew after a disaster.
        name = f"{tombstones.RECEIPTS}/request-{request.number}-{now:%Y%m%dT%H%M%S%fZ}.json"
        long = replace(keeper, keep=RECEIPT_KEEP)
        long.put(conn, SOURCE, "erasure-receipt", name, json.dumps(receipt, indent=1).encode())
        conn.execute(
            text("""
                update ocd.erasure_request set subjects = null, finished_at = clock_timestamp(), gone_by = :gone_by,
                  run_id = :run_id where id = :id
            """),
            {"id": request.number, "gone_by": gone_by, "run_id": run.id},
        )
        erasures.close_incidents(conn, request.number)
        report = replace(report, receipt=name)
        batch.report = report
    log.info("erased", extra={"request": request.number, "rows": report.rows})
    return report


def _forget_in_holds(conn: Connection, subjects: tuple[Subject, ...]) -> None:
    """Take the ids out of released holds: they named the conversation while it was held."""
    conn.execute(
        text("""
            update ocd.legal_hold set
              conversation_id = case when conversation_id = any(:conversations) then :erased else conversation_id end,
              customer_id = case when customer_id = any(:customers) then :erased else customer_id end
            where released_at is not null
              and (conversation_id = any(:conversations) or customer_id = any(:customers))
        """),
        {
            "erased": ERASED,
            "conversations": [one.id for one in subjects if one.kind is Kind.CONVERSATION],
            "customers": [
                prefix + one.id
                for one in subjects
                if one.kind is Kind.CUSTOMER
                for prefix in ("", CUSTOMER_PREFIX)
            ],
        },
    )


def _receipt(
    conn: Connection,
    request: Request,
    subjects: tuple[Subject, ...],
    found: Found,
    key: HashKey,
    report: EraseReport,
) -> dict[str, Any]:
    """Return what proves the deed: hashes, counts and instants, nothing of the person."""
    now = conn.execute(text("select clock_timestamp()")).scalar_one()
    erased_at = conn.execute(
        text("select erased_at from ocd.erasure_request where id = :id"), {"id": request.number}
    ).scalar_one()
    return {
        "version": 1,
        "request": request.number,
        "received_at": request.clock.received_at.isoformat(),
        "due_at": request.clock.due_at.isoformat(),
        "finished_at": now.isoformat(),
        "tombstones": [
            {
                "kind": one.kind.value,
                "subject_hmac": key.hashed(one.kind, one.id),
                "key_id": key.id,
                "erased_at": erased_at.isoformat(),
            }
            for one in subjects
        ],
        **asdict(found),
        "backups_gone_by": report.gone_by.isoformat() if report.gone_by else None,
    }


def _report(
    request: Request,
    subjects: tuple[Subject, ...],
    found: Found,
    gone_by: datetime | None,
    *,
    is_dry: bool,
) -> EraseReport:
    shown = dict(list(found.backups.items())[-SHOWN_BACKUPS:])
    return EraseReport(
        request.number,
        is_dry,
        len(subjects),
        found.tables,
        found.archived,
        shown,
        found.others,
        gone_by,
        more_backups=len(found.backups) - len(shown),
    )
