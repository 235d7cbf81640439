"""Bring rows back: from a backup, whole, one table or some rows; or what a purge took.

A person's wish stands in `ocd.restore_request`, for its condition may name a customer; the run carries its
number only. Rows that are there are never overwritten, and erased ones never come back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import Connection, NullPool, create_engine, text

from ocd.core import migrate
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused
from ocd.core.signing import SigningKeys
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import holds
from ocd.ledger.holds import Held
from ocd.ledger.run import Batch, Run
from ocd.lifecycle import loading, portions, returning, tombstones
from ocd.lifecycle.loading import Loaded
from ocd.lifecycle.manifest import Manifest, Part
from ocd.lifecycle.portions import Portion
from ocd.lifecycle.returning import Choice, Place, Returned
from ocd.lifecycle.tombstones import Tombstones
from ocd.lifecycle.traced import Sieve

log = logging.getLogger(__name__)

LIVE, SCRATCH = "live", "scratch"
BACKUP, PURGE = "backup", "purge"
#: A condition of a run that never ended well is forgotten after this time.
FORGOTTEN_AFTER = timedelta(days=7)
#: Gives the superuser URL of an empty server that stays, under this name.
KeptServer = Callable[[str], str]
#: Gives the superuser URL of an empty server that goes at the end.
Scratch = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class Wish:
    """What a person wants back."""

    source: str
    name: str
    dataset: str | None = None
    condition: str | None = None
    target: str = LIVE
    confirmed_database: str | None = None
    is_held: bool = False


@dataclass(frozen=True)
class RestoreReport:
    """What came back, or would: per dataset, and where to."""

    version: ClassVar[int] = 1
    source: str
    target: str
    is_dry: bool
    took_s: float
    returned: tuple[Returned, ...]
    left_out: tuple[str, ...] = ()
    hold: int | None = None

    @property
    def rows(self) -> int:
        """Rows that came back."""
        return sum(one.inserted for one in self.returned)

    @property
    def summary(self) -> str:
        """One line for people."""
        verb = "would come back" if self.is_dry else "came back"
        rest = {
            "there already": sum(one.present for one in self.returned),
            "in conflict with rows that stay": sum(one.conflicts for one in self.returned),
            "without the row they belong to": sum(one.orphans for one in self.returned),
            "of erased people left out": sum(one.erased for one in self.returned),
        }
        more = "".join(f", {count:,} {what}" for what, count in rest.items() if count)
        held = f"; hold {self.hold} keeps them from the next purge" if self.hold else ""
        return f"{self.rows:,} rows from {self.source} {verb} ({self.target}){more}{held}"


def wish(conn: Connection, wanted: Wish, *, requested_by: str) -> int:
    """Note a wish and return its number. The caller commits."""
    number: int = conn.execute(
        text("""
            insert into ocd.restore_request
              (source, name, dataset, condition, target, confirmed_database, is_held, requested_by)
            values (:source, :name, :dataset, :condition, :target, :confirmed_database, :is_held, :requested_by)
            returning id
        """),
        asdict(wanted) | {"requested_by": requested_by},
    ).scalar_one()
    return number


def wish_of(conn: Connection, number: int, source: str) -> Wish:
    """Return an open wish; raises ConfigError for another one."""
    row = conn.execute(
        text("""
            select source, name, dataset, condition, target, confirmed_database, is_held from ocd.restore_request
            where id = :id and source = :source and finished_at is null
        """),
        {"id": number, "source": source},
    ).first()
    conn.rollback()
    if row is None:
        raise ConfigError(
            f"there is no open request {number}; `ocd restore` and `ocd unpurge` make one"
        )
    return Wish(*row)


def finish(conn: Connection, number: int) -> None:
    """Close a wish and forget its condition. The caller commits."""
    conn.execute(
        text("""
            update ocd.restore_request set finished_at = clock_timestamp(), condition = null where id = :id
        """),
        {"id": number},
    )


def forget_old(conn: Connection, *, now: datetime) -> int:
    """Close wishes that never came to a good end, and forget their conditions. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.restore_request set finished_at = clock_timestamp(), condition = null
            where finished_at is null and requested_at < :before
        """),
        {"before": now - FORGOTTEN_AFTER},
    )
    return done.rowcount


def restore(
    conn: Connection,
    number: int,
    *,
    run: Run,
    store: Store,
    keys: SigningKeys,
    key: str | None,
    kept_server: KeptServer,
    scratch: Scratch,
) -> RestoreReport:
    """Bring back from a backup what request `number` asks for; commits batch by batch.

    Raises PolicyRefused where the database is not the one that the person named.
    """
    started = time.monotonic()
    wanted = wish_of(conn, number, BACKUP)
    backup = portions.open_backup(conn, store, wanted.name, keys)
    chosen = portions.of_backup(store, backup, wanted.dataset)
    choice = Choice(wanted.condition, tombstones.standing(conn, store, key))
    left_out: tuple[str, ...] = ()
    if wanted.target == SCRATCH:
        with scratch() if run.is_dry else _kept(kept_server, f"restore-{number}") as url:
            returned = _into_scratch(url, backup, chosen, choice, store, run)
    else:
        _require_confirmed(conn, wanted)
        chosen, left_out = _without_ledger(chosen, wanted)
        place = Place(conn, lambda: run.batch(conn), run.is_dry)
        returned = returning.bring_all_back(place, chosen, choice, _shown(run))
    took_s = round(time.monotonic() - started, 3)
    report = RestoreReport(wanted.name, wanted.target, run.is_dry, took_s, returned, left_out)
    with run.batch(conn) as batch:
        finish(conn, number)
        batch.report = report
    log.info("restored", extra={"request": number, "rows": report.rows})
    return report


@contextmanager
def _kept(server: KeptServer, name: str) -> Iterator[str]:
    yield server(name)


def _require_confirmed(conn: Connection, wanted: Wish) -> None:
    here = conn.execute(text("select current_database()")).scalar_one()
    conn.rollback()
    if wanted.confirmed_database != here:
        raise PolicyRefused(
            f"this would write to the live database {here}, which nobody confirmed: --yes-into-live {here}"
        )


def _without_ledger(
    chosen: tuple[Portion, ...], wanted: Wish
) -> tuple[tuple[Portion, ...], tuple[str, ...]]:
    """Leave the ledger's details out unless they are asked for: they tell of runs by numbers of that database."""
    if wanted.dataset is not None:
        return chosen, ()
    ours = tuple(one for one in chosen if one.dataset.schema == "ocd")
    return (
        tuple(one for one in chosen if one not in ours),
        tuple(one.dataset.name for one in ours),
    )


def _into_scratch(
    url: str,
    backup: Manifest,
    chosen: tuple[Portion, ...],
    choice: Choice,
    store: Store,
    run: Run,
) -> tuple[Returned, ...]:
    """Restore into an empty server: whole tables at once, or the rows that a condition chooses."""
    if choice.condition is None:
        names = {one.dataset.name for one in chosen}
        parts = tuple(part for part in backup.parts if part.dataset in names)
        return rebuild(url, replace(backup, parts=parts), choice.tombstones, store, run)
    migrate.upgrade(url, backup.schema_revision)
    with _connected(url) as there:
        place = Place(there, lambda: _own_batch(there, run), run.is_dry, is_scratch=True)
        return returning.bring_all_back(place, chosen, choice, _shown(run))


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as there:
        yield there
    engine.dispose()


def rebuild(
    url: str, backup: Manifest, erased: Tombstones, store: Store, run: Run
) -> tuple[Returned, ...]:
    """Load a backup into an empty server, without rows of erased people.

    Raises ContractBroken at the end where a part is damaged; the others are there then.
    """
    sieves = {part.dataset: erased.of_part(backup, part) for part in backup.parts}

    def through(part: Part, blocks: Iterator[bytes]) -> Iterator[bytes]:
        sieve = sieves[part.dataset]
        return sieve(blocks) if sieve else blocks

    loaded = loading.rebuild(url, backup, store, told=loading.telling(run, backup), through=through)
    damaged = [f"{name}: {one.damage}" for name, one in loaded.items() if one.damage]
    if damaged:
        raise ContractBroken(f"{backup.name}: {'; '.join(damaged)}; the other tables came back")
    with _connected(url) as there, there.begin():
        for part in backup.parts:  # a login may not have been allowed to read where they stood
            returning.count_on(there, dataset_named(part.dataset))
    return tuple(
        _loaded(part.dataset, loaded[part.dataset], sieves[part.dataset]) for part in backup.parts
    )


def _loaded(dataset: str, loaded: Loaded, sieve: Sieve | None) -> Returned:
    rows = loaded.content.rows if loaded.content else 0
    return Returned(dataset, rows, rows, erased=sieve.removed if sieve else 0)


@contextmanager
def _own_batch(there: Connection, run: Run) -> Iterator[Batch]:
    """Commit a batch on another server; the lease is looked after beside it."""
    if there.in_transaction():
        there.rollback()
    batch = Batch()
    with there.begin():
        yield batch
    run.progress(batch.done or 0, batch.total, batch.note)


def _shown(run: Run) -> Callable[[Portion, int], None]:
    return lambda portion, read: run.progress(read, portion.rows, f"{portion.dataset.name} read")


def unpurge(
    conn: Connection, number: int, *, run: Run, store: Store, key: str | None
) -> RestoreReport:
    """Bring back what a purge run took, as request `number` asks; commits batch by batch.

    The rows are past retention still, so the next purge would take them again: unless the request says
    otherwise, a hold keeps their span of time until somebody releases it.
    """
    started = time.monotonic()
    wanted = wish_of(conn, number, PURGE)
    _require_confirmed(conn, wanted)
    chosen = tuple(portions.archives(conn, store, run_id=int(wanted.name)))
    if not chosen:
        raise PolicyRefused(
            f"run {wanted.name} left no archive that is still kept: it deleted nothing, or its archive expired"
        )
    dataset = chosen[0].dataset
    hold = _hold(conn, run, wanted, dataset) if wanted.is_held and not run.is_dry else None
    choice = Choice(wanted.condition, tombstones.standing(conn, store, key))
    place = Place(conn, lambda: run.batch(conn), run.is_dry)
    found = Returned(dataset.name)
    for one in returning.bring_all_back(place, chosen, choice, _shown(run)):
        found += one
    with run.batch(conn) as batch:
        finish(conn, number)
        report = RestoreReport(
            f"purge run {wanted.name}",
            LIVE,
            run.is_dry,
            round(time.monotonic() - started, 3),
            (found,),
            hold=_narrowed(conn, run, wanted, hold, found) if hold else None,
        )
        batch.report = report
    log.info("unpurged", extra={"request": number, "rows": report.rows})
    return report


def _hold(conn: Connection, run: Run, wanted: Wish, dataset: Dataset) -> int:
    """Hold the table before the first row comes back: a purge at work leaves it from its next batch on."""
    with run.batch(conn):
        return _place(conn, run, wanted, dataset, Held())


def _narrowed(conn: Connection, run: Run, wanted: Wish, hold: int, found: Returned) -> int | None:
    """Hold the span of time of what came back, and let the rest of the table go. The caller commits.

    Returns the hold that keeps the rows, None where none came back; somebody else's stays as it is.
    """
    if not _is_ours(conn, run, hold):
        return hold
    holds.release(conn, hold, released_by=_name(run))
    if found.oldest is None or found.newest is None:
        return None
    span = Held(held_from=found.oldest, held_until=found.newest + timedelta(microseconds=1))
    return _place(conn, run, wanted, dataset_named(found.dataset), span)


def _place(conn: Connection, run: Run, wanted: Wish, dataset: Dataset, held: Held) -> int:
    reason = f"rows that purge run {wanted.name} took were brought back by run {run.id}"
    return holds.place(conn, dataset, held, reason=reason, placed_by=_name(run))


def _is_ours(conn: Connection, run: Run, hold: int) -> bool:
    return bool(
        conn.execute(
            text("select placed_by = :name from ocd.legal_hold where id = :id"),
            {"id": hold, "name": _name(run)},
        ).scalar()
    )


def _name(run: Run) -> str:
    return f"run {run.id}"


def purged_dataset(conn: Connection, run_id: int) -> str:
    """Return what dataset a purge run worked on; raises ConfigError for a run of another job."""
    found = conn.execute(
        text(
            "select subject ->> 'dataset' from ocd.run where id = :id and job = 'lifecycle.purge' and kind = 'real'"
        ),
        {"id": run_id},
    ).scalar()
    if found is None:
        raise ConfigError(f"run {run_id} is no purge; see `ocd runs --job lifecycle.purge`")
    return dataset_named(str(found)).name
