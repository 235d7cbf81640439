"""Find what of some subjects lies where: in tables, archives and backups. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ContractBroken, UnknownName
from ocd.core.signing import SigningKeys
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.datasets.subjects import RELATED, TRACED, Subject, Trace, id_in, traces
from ocd.ledger import holds
from ocd.ledger.run import Run
from ocd.lifecycle import copying, portions, rewriting, traced
from ocd.lifecycle.manifest import Manifest
from ocd.lifecycle.portions import Portion

_EVERY = sql.SQL("true")


def with_related(
    conn: Connection, store: Store, keys: SigningKeys, subjects: tuple[Subject, ...]
) -> tuple[Subject, ...]:
    """Return the subjects and what rows of other tables know them by, wherever a row says so.

    The lines of an order name the order and not its customer, a mark names the agent's run.
    """
    found: set[Subject] = set()
    for dataset in TRACED:
        own = [one for one in traces(dataset) if one.kind in RELATED and one.key is None]
        if own and len(traces(dataset)) > len(own):
            for trace in own:
                found |= _related(conn, store, keys, dataset, trace, subjects)
    return tuple(dict.fromkeys((*subjects, *sorted(found))))


def _related(
    conn: Connection,
    store: Store,
    keys: SigningKeys,
    dataset: Dataset,
    trace: Trace,
    subjects: tuple[Subject, ...],
) -> set[Subject]:
    values = _in_table(conn, dataset, trace.column, subjects)
    for portion in portions.archives(conn, store, dataset=dataset.name):
        values |= _in_copy(portion, trace.column, subjects)
    for portion in _in_each_backup(conn, store, keys, dataset):
        with suppress(ContractBroken):  # nothing comes back from a damaged part
            values |= _in_copy(portion, trace.column, subjects)
    return {Subject(trace.kind, id_in(trace, value)) for value in values if value is not None}


def _in_copy(portion: Portion, column: str, subjects: tuple[Subject, ...]) -> set[str | None]:
    place = list(portion.columns).index(column)
    rows = rewriting.sieve_for(portion, subjects).matching(portion.read())
    return {traced.value_of(row.split(b"\t")[place]) for row in rows}


def _in_table(
    conn: Connection, dataset: Dataset, column: str, subjects: tuple[Subject, ...]
) -> set[str | None]:
    condition, values = traced.condition(dataset, subjects)
    _begin(conn)
    query = sql.SQL("select distinct {}::text from {} where {}").format(
        sql.Identifier(column), copying.table_of(dataset), condition
    )
    found: set[str | None] = {row[0] for row in copying.cursor_of(conn).execute(query, values)}
    conn.rollback()
    return found


def _in_each_backup(
    conn: Connection, store: Store, keys: SigningKeys, dataset: Dataset
) -> list[Portion]:
    """Return the part of a dataset of every backup whose manifest can be read."""
    found: list[Portion] = []
    for folder in portions.folders(store):
        backup = _readable(conn, store, folder, keys)
        if backup and any(part.dataset == dataset.name for part in backup.parts):
            found += portions.of_backup(store, backup, dataset.name)
    return found


def _readable(conn: Connection, store: Store, folder: str, keys: SigningKeys) -> Manifest | None:
    try:
        return portions.open_backup(conn, store, folder, keys)
    except ContractBroken:
        return None  # nothing comes back from it


def in_tables(conn: Connection, subjects: tuple[Subject, ...]) -> dict[str, int]:
    """Return rows per table that holds any."""
    found = {one.name: _count_rows(conn, one, subjects) for one in TRACED}
    return {name: rows for name, rows in found.items() if rows}


def in_archives(
    conn: Connection, store: Store, subjects: tuple[Subject, ...], run: Run
) -> dict[str, int]:
    """Return rows per dataset whose archives hold any."""
    found = {
        one.name: _count(portions.archives(conn, store, dataset=one.name), subjects, run)
        for one in TRACED
    }
    return {name: rows for name, rows in found.items() if rows}


def in_backups(
    conn: Connection, store: Store, keys: SigningKeys, subjects: tuple[Subject, ...], run: Run
) -> dict[str, int]:
    """Return rows per backup that holds any; reads every part in which there could be one.

    A damaged backup, or one with a table that this code no longer knows, counts with 0 rows: what may lie in it
    cannot be told.
    """
    found = {}
    for folder in portions.folders(store):
        try:
            backup = portions.open_backup(conn, store, folder, keys)
            parts = portions.of_backup(store, backup)
            rows = _count([one for one in parts if one.dataset in TRACED], subjects, run)
        except (ContractBroken, UnknownName):
            found[folder] = 0
        else:
            found |= {folder: rows} if rows else {}
    return found


def has_archived(
    conn: Connection, store: Store, dataset: Dataset, subjects: tuple[Subject, ...], run: Run
) -> bool:
    """Whether the archives of a dataset hold a row of the subjects."""
    return bool(_count(portions.archives(conn, store, dataset=dataset.name), subjects, run))


def held_rows(conn: Connection, dataset: Dataset, subjects: tuple[Subject, ...]) -> int:
    """Return how many of the subjects' rows in a table a legal hold covers."""
    return _count_rows(conn, dataset, subjects, sql.SQL("not {}").format(holds.free(dataset)))


def _count_rows(
    conn: Connection,
    dataset: Dataset,
    subjects: tuple[Subject, ...],
    which: sql.Composable = _EVERY,
) -> int:
    condition, values = traced.condition(dataset, subjects)
    _begin(conn)
    query = sql.SQL("select count(*) from {} where {} and {}").format(
        copying.table_of(dataset), condition, which
    )
    row = copying.cursor_of(conn).execute(query, values).fetchone()
    conn.rollback()
    return int(row[0]) if row else 0


def _count(copies: Iterable[Portion], subjects: tuple[Subject, ...], run: Run) -> int:
    total = 0
    for portion in copies:
        total += rewriting.count(portion, subjects)
        run.progress(total, None, f"rows found in copies of {portion.dataset.name}")
    return total


def _begin(conn: Connection) -> None:
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set local row_security = off"))
