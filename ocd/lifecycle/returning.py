"""Bring rows back into a table: stage them beside it, choose, insert what is missing, overwrite nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused, SchemaMismatch
from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset
from ocd.ledger.run import Batch
from ocd.lifecycle import copying, tombstones
from ocd.lifecycle.backup import live_columns
from ocd.lifecycle.portions import Portion
from ocd.lifecycle.tombstones import Tombstones

_PARENTS = statement(__file__, "list_parents.sql")
_REFERRED = statement(__file__, "list_referred.sql")
_STAGE = sql.Identifier("ocd_returning")
#: What a dry run took back again and later tables refer to.
_PROMISED = sql.Identifier("ocd_promised")
#: Rows that one batch brings back; it holds no lock that a writer of other rows waits for.
BATCH_ROWS = 2_000
#: Keys of conflicts that a report names.
SHOWN_KEYS = 10
#: Longer than this, nobody's condition takes for a batch.
_CONDITION_TIMEOUT = "60s"


@dataclass(frozen=True)
class Returned:
    """What came back of one dataset, or would: and why the others did not."""

    dataset: str
    rows: int = 0  # that were looked at: staged, and chosen by the condition
    inserted: int = 0
    present: int = 0  # there already, and the same
    conflicts: int = 0  # another row has the key, or another unique value, and stays
    orphans: int = 0  # refer to a row that is not there
    erased: int = 0  # of somebody who was erased
    conflict_keys: tuple[int, ...] = ()
    oldest: datetime | None = None  # event time of what was looked at
    newest: datetime | None = None

    def __add__(self, other: Returned) -> Returned:
        """Return both together."""
        return Returned(
            self.dataset,
            self.rows + other.rows,
            self.inserted + other.inserted,
            self.present + other.present,
            self.conflicts + other.conflicts,
            self.orphans + other.orphans,
            self.erased + other.erased,
            (self.conflict_keys + other.conflict_keys)[:SHOWN_KEYS],
            min(filter(None, (self.oldest, other.oldest)), default=None),
            max(filter(None, (self.newest, other.newest)), default=None),
        )


@dataclass(frozen=True)
class Place:
    """Where rows come back to: a connection, and how a batch there commits."""

    conn: Connection
    batch: Callable[[], AbstractContextManager[Batch]]
    is_dry: bool = False
    #: A scratch copy protects nothing: rows without a parent come along, columns are added.
    is_scratch: bool = False


@dataclass(frozen=True)
class Choice:
    """Which rows of a portion come back: those a person's condition holds for, and nobody's who was erased."""

    condition: str | None = None
    tombstones: Tombstones = field(default_factory=Tombstones)


def bring_all_back(
    place: Place,
    portions: Iterable[Portion],
    choice: Choice,
    progress: Callable[[Portion, int], None],
) -> tuple[Returned, ...]:
    """Bring portions back in their order, parents first; see `bring_back`."""
    if place.is_dry:
        _begin(place.conn)
        cursor = copying.cursor_of(place.conn)
        cursor.execute(sql.SQL("drop table if exists pg_temp.{}").format(_PROMISED))
        cursor.execute(
            sql.SQL(
                "create temporary table {} (relation text, name text, value text, unique (relation, name, value))"
            ).format(_PROMISED)
        )
        place.conn.commit()
    return tuple(
        bring_back(place, one, choice, lambda rows, one=one: progress(one, rows))  # type: ignore[misc]
        for one in portions
    )


def bring_back(
    place: Place,
    portion: Portion,
    choice: Choice,
    progress: Callable[[int], None] = lambda rows: None,
) -> Returned:
    """Bring the chosen rows of a portion back, in batches that commit. A row that is there is never changed.

    A dry run does the same and takes each batch back; where a row's parent is one of those, it counts it without
    a try. Who is killed and runs again finds what came back
    as present. Raises SchemaMismatch, ConfigError for a condition that fails, PolicyRefused.
    """
    _require_columns(place, portion)
    found = Returned(portion.dataset.name)
    try:
        erased = _stage(place, portion, choice, progress)
        found += Returned(portion.dataset.name, erased=erased)
        for keys in _chosen(place.conn, portion.dataset, choice.condition):
            with place.batch() as batch:
                found += _insert(place, portion, choice, keys)
                batch.progress(found.rows, portion.rows, portion.dataset.name)
        if not place.is_dry and found.inserted:
            with place.batch():
                count_on(place.conn, portion.dataset)
    finally:
        _drop_stage(place.conn)
    return found


def _stage(place: Place, portion: Portion, choice: Choice, progress: Callable[[int], None]) -> int:
    """Copy the portion into a temporary table; returns how many rows of erased subjects were left out."""
    conn = place.conn
    _begin(conn)
    cursor = copying.cursor_of(conn)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), copying.condition(kind))
        for name, kind in portion.columns.items()
    )
    cursor.execute(sql.SQL("drop table if exists pg_temp.{}").format(_STAGE))
    cursor.execute(
        sql.SQL("create temporary table {} ({}) on commit preserve rows").format(_STAGE, columns)
    )
    names = list(portion.columns)
    sieve = choice.tombstones.sieve(portion.dataset, names, as_of=portion.as_of)
    blocks = _told(portion.read(), progress)
    copy_in = sql.SQL("copy pg_temp.{} ({}) from stdin").format(_STAGE, copying.columns_of(names))
    with cursor.copy(copy_in) as copy:
        for block in sieve(blocks) if sieve else blocks:
            copy.write(block)
    cursor.execute(
        sql.SQL("create index on pg_temp.{} ({})").format(
            _STAGE, sql.Identifier(portion.dataset.key)
        )
    )
    cursor.execute(sql.SQL("analyze pg_temp.{}").format(_STAGE))
    conn.commit()
    return sieve.removed if sieve else 0


def _told(blocks: Iterable[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
    read = 0
    for block in blocks:
        read += block.count(b"\n")
        progress(read)
        yield block


def _begin(conn: Connection) -> None:
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set local row_security = off"))


def _drop_stage(conn: Connection) -> None:
    # A connection that broke took its temporary tables along.
    with suppress(DBAPIError, pg.OperationalError):
        conn.rollback()
        copying.cursor_of(conn).execute(sql.SQL("drop table if exists pg_temp.{}").format(_STAGE))
        conn.commit()


def _require_columns(place: Place, portion: Portion) -> None:
    """Raise SchemaMismatch where the table lost a column; a scratch table gets it back."""
    live = live_columns(place.conn, portion.dataset)
    place.conn.rollback()
    missing = {name: kind for name, kind in portion.columns.items() if name not in live}
    if missing and not place.is_scratch:
        raise SchemaMismatch(
            f"{portion.dataset.table} has no column {', '.join(missing)} any more, the copy has; "
            "restore into a scratch server and take from there what you need"
        )
    cursor = copying.cursor_of(place.conn)
    for name, kind in missing.items():
        cursor.execute(
            sql.SQL("alter table {} add column {} {}").format(
                copying.table_of(portion.dataset), sql.Identifier(name), copying.condition(kind)
            )
        )
    place.conn.commit()


def _chosen(conn: Connection, dataset: Dataset, condition: str | None) -> Iterator[list[int]]:
    """Yield the keys of the chosen rows, in order, a batch at a time.

    The condition is a person's own SQL. It stands in a SELECT of a read-only transaction, as one statement of the
    extended protocol: it can neither write nor end the transaction, and a comment in it ends at its line.
    """
    key = sql.Identifier(dataset.key)
    query = sql.SQL(
        "select k from (select {key} as k from pg_temp.{stage} where ({condition}\n)) chosen"
        " where k > %(after)s order by k limit %(limit)s"
    ).format(key=key, stage=_STAGE, condition=_percent_safe(condition or "true"))
    after = -(2**63)
    while True:
        _begin_reading(conn)
        try:
            rows = copying.cursor_of(conn).execute(query, {"after": after, "limit": BATCH_ROWS})
            keys = [int(row[0]) for row in rows]
        except pg.Error as error:
            if condition is None or not isinstance(error, _PERSONS_FAULT):
                raise
            raise _condition_failed(error) from None
        finally:
            conn.rollback()
        if not keys:
            return
        if keys[0] <= after:
            raise ConfigError('--where: expected one condition, such as "latency_ms > 200"')
        yield keys
        after = keys[-1]


#: What a condition that is wrong can be refused with: its text, its data, what it may do, how long it takes.
_PERSONS_FAULT = (
    pg.ProgrammingError,
    pg.DataError,
    pg.InternalError,
    pg.NotSupportedError,
    pg.QueryCanceled,
    pg.IntegrityError,
)


def _begin_reading(conn: Connection) -> None:
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction read only"))
    conn.execute(text("set local row_security = off"))
    conn.execute(text(f"set local statement_timeout = '{_CONDITION_TIMEOUT}'"))


def _percent_safe(condition: str) -> sql.SQL:
    return copying.condition(condition.replace("%", "%%"))


def _condition_failed(error: pg.Error) -> ConfigError:
    # The server's words may quote the condition, and so whom it names; class and place do not.
    return ConfigError(
        f"--where: the database refuses it ({type(error).__name__}); expected one condition over the table's "
        'columns, such as "latency_ms > 200"; nothing was changed'
    )


def _insert(place: Place, portion: Portion, choice: Choice, keys: list[int]) -> Returned:
    """Insert what is missing of these keys and say what became of the others; a dry run takes it back."""
    conn = place.conn
    conn.execute(text("set local row_security = off"))
    # Row by row, by key: a small table would be read whole for every batch, and it grows with each.
    conn.execute(text("set local enable_hashjoin = off"))
    conn.execute(text("set local enable_mergejoin = off"))
    if place.is_scratch:
        conn.execute(text("set local session_replication_role = replica"))
    else:
        conn.execute(text("set local lock_timeout = '2s'"))
        tombstones.require_none_newer(conn, choice.tombstones)
    trial = conn.begin_nested()
    inserted = _inserted(place, portion, keys)
    _require_identical(conn, portion, inserted)
    found, promised = _accounted(place, portion, keys, inserted)
    if place.is_dry:
        trial.rollback()
        _promise(conn, portion, [*inserted, *promised])
    else:
        trial.commit()
    oldest, newest = _span(conn, portion, keys)
    return replace(found, oldest=oldest, newest=newest)


def _span(
    conn: Connection, portion: Portion, keys: list[int]
) -> tuple[datetime | None, datetime | None]:
    """Return the event time of the oldest and the newest of these staged rows."""
    query = sql.SQL(
        "select min({at}), max({at}) from pg_temp.{stage} where {key} = any(%(keys)s)"
    ).format(
        at=sql.Identifier(portion.dataset.event_time),
        stage=_STAGE,
        key=sql.Identifier(portion.dataset.key),
    )
    row = copying.cursor_of(conn).execute(query, {"keys": keys}).fetchone()
    return (row[0], row[1]) if row else (None, None)


def _promise(conn: Connection, portion: Portion, keys: list[int]) -> None:
    """Remember what a dry run would have brought back and rows of other tables may refer to."""
    for row in conn.execute(_REFERRED, {"table": portion.dataset.table}).all():
        query = sql.SQL(
            "insert into pg_temp.{promised} select {table}, {name}, {column}::text from pg_temp.{stage}"
            " where {key} = any(%(keys)s) on conflict do nothing"
        ).format(
            promised=_PROMISED,
            table=sql.Literal(portion.dataset.table),
            name=sql.Literal(row.column_name),
            column=sql.Identifier(row.column_name),
            stage=_STAGE,
            key=sql.Identifier(portion.dataset.key),
        )
        copying.cursor_of(conn).execute(query, {"keys": keys})


def _inserted(place: Place, portion: Portion, keys: list[int]) -> list[int]:
    names = copying.columns_of(portion.columns)
    query = sql.SQL(
        "insert into {table} ({names}) overriding system value select {names} from pg_temp.{stage} s"
        " where {key} = any(%(keys)s) and {whole} order by {key} on conflict do nothing returning {key}"
    ).format(
        table=copying.table_of(portion.dataset),
        names=names,
        stage=_STAGE,
        key=sql.Identifier(portion.dataset.key),
        whole=_has_parents(place, portion),
    )
    try:
        rows = copying.cursor_of(place.conn).execute(query, {"keys": keys}).fetchall()
    except pg.IntegrityError as error:
        raise PolicyRefused(
            f"{portion.dataset.table}: rows of then break a rule of now ({error.diag.constraint_name}); "
            "restore into a scratch server and take from there what you need"
        ) from None
    return [int(row[0]) for row in rows]


def _has_parents(place: Place, portion: Portion, *, or_promised: bool = False) -> sql.Composable:
    """A condition that every row a staged row refers to is there; in a scratch copy it does not matter."""
    if place.is_scratch:
        return sql.SQL("true")
    parents = place.conn.execute(_PARENTS, {"table": portion.dataset.table}).all()
    parts: list[sql.Composable] = []
    for row in parents:
        if row.column_name not in portion.columns:
            continue
        promised = sql.SQL(
            " or exists (select from pg_temp.{promised} q where q.relation = {relation} and q.name = {name}"
            " and q.value = s.{column}::text)"
        ).format(
            promised=_PROMISED,
            relation=sql.Literal(f"{row.parent_schema}.{row.parent_table}"),
            name=sql.Literal(row.parent_column),
            column=sql.Identifier(row.column_name),
        )
        parts.append(
            sql.SQL(
                "(s.{column} is null or exists (select from {parent} p where p.{key} = s.{column}){promised})"
            ).format(
                column=sql.Identifier(row.column_name),
                parent=sql.Identifier(row.parent_schema, row.parent_table),
                key=sql.Identifier(row.parent_column),
                promised=promised if or_promised else sql.SQL(""),
            )
        )
    return sql.SQL("({})").format(sql.SQL(" and ").join(parts)) if parts else sql.SQL("true")


def _same(portion: Portion) -> sql.Composed:
    """A condition that the live row l is, to the last character, the staged row s."""

    def row(alias: str) -> sql.Composed:
        return sql.SQL("row({})::text").format(
            sql.SQL(", ").join(sql.Identifier(alias, name) for name in portion.columns)
        )

    return sql.SQL("{} = {}").format(row("l"), row("s"))


def _require_identical(conn: Connection, portion: Portion, keys: list[int]) -> None:
    """Raise ContractBroken, so that the batch is taken back, where a trigger or default changed a row."""
    query = sql.SQL(
        "select count(*) from pg_temp.{stage} s join {table} l on l.{key} = s.{key}"
        " where s.{key} = any(%(keys)s) and {same}"
    ).format(
        stage=_STAGE,
        table=copying.table_of(portion.dataset),
        key=sql.Identifier(portion.dataset.key),
        same=_same(portion),
    )
    row = copying.cursor_of(conn).execute(query, {"keys": keys}).fetchone()
    if row is None or row[0] != len(keys):
        raise ContractBroken(
            f"{portion.dataset.table}: rows came back other than they were; this batch was taken back"
        )


def _accounted(
    place: Place, portion: Portion, keys: list[int], inserted: list[int]
) -> tuple[Returned, list[int]]:
    """Say of each row that was not inserted why: the same is there, another is, or its parent is not.

    Also returns those that only wait for a parent that this dry run took back.
    """
    query = sql.SQL(
        "select s.{key}, case when l.{key} is not null and {same} then 'present' when l.{key} is not null then 'conflict'"
        " when {whole} then 'conflict' when {promised} then 'promised' else 'orphan' end"
        " from pg_temp.{stage} s left join {table} l on l.{key} = s.{key}"
        " where s.{key} = any(%(keys)s) and not s.{key} = any(%(inserted)s) order by 1"
    ).format(
        key=sql.Identifier(portion.dataset.key),
        whole=_has_parents(place, portion),
        promised=_has_parents(place, portion, or_promised=True)
        if place.is_dry
        else sql.SQL("false"),
        same=_same(portion),
        stage=_STAGE,
        table=copying.table_of(portion.dataset),
    )
    rows = copying.cursor_of(place.conn).execute(query, {"keys": keys, "inserted": inserted})
    left = [(int(row[0]), str(row[1])) for row in rows]
    conflicts = [key for key, what in left if what == "conflict"]
    promised = [key for key, what in left if what == "promised"]
    found = Returned(
        portion.dataset.name,
        rows=len(keys),
        inserted=len(inserted) + len(promised),
        present=sum(what == "present" for _, what in left),
        conflicts=len(conflicts),
        orphans=sum(what == "orphan" for _, what in left),
        conflict_keys=tuple(conflicts[:SHOWN_KEYS]),
    )
    return found, promised


def count_on(conn: Connection, dataset: Dataset) -> None:
    """Move the table's counter behind the ids that came back; one that is ahead stays. The caller commits."""
    key = sql.Literal(dataset.key)
    table = sql.Literal(f'"{dataset.schema}"."{dataset.relation}"')
    cursor = copying.cursor_of(conn)
    row = cursor.execute(
        sql.SQL("select pg_get_serial_sequence({}, {})").format(table, key)
    ).fetchone()
    if row is None or row[0] is None:
        return
    query = sql.SQL(
        "select setval({counter}::regclass, m.newest) from (select max({key}) as newest from {table}) m"
        " where m.newest > (select coalesce(pg_sequence_last_value({counter}::regclass), 0))"
    ).format(
        counter=sql.Literal(row[0]),
        key=sql.Identifier(dataset.key),
        table=copying.table_of(dataset),
    )
    cursor.execute(query)
