"""Which rows a plan is about: its conditions as SQL, how many there are, and where the next batch ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.datasets.facts import Dataset
from ocd.ledger import holds
from ocd.lifecycle import copying
from ocd.lifecycle.policy import Expiry, PurgePlan

#: How long a statement waits for a row that somebody else changes; such rows are tried again at the end.
LOCK_WAIT = "250ms"
_SAMPLE_KEYS = 5


@dataclass(frozen=True)
class Keys:
    """A range of keys, both ends included."""

    first: int
    last: int


@dataclass(frozen=True)
class Counted:
    """Rows of a plan at one moment: those that would go, per rule, and between which keys; held and flagged ones."""

    table_rows: int
    rows_by_rule: dict[str, int]
    held_rows: int
    flagged: dict[str, int]
    oldest: datetime | None
    newest: datetime | None
    keys: Keys | None

    @property
    def rows(self) -> int:
        """Rows that would go."""
        return sum(self.rows_by_rule.values())


def be_careful(conn: Connection) -> None:
    """Set this transaction up to see every row or fail, and to wait for nobody for long.

    A login under row security would see its own rows only, silently; here that is an error. Without bitmap scans,
    for the server likes to join a batch's keys with all that an index of instants has before the cutoff: every
    batch would cost as much as the whole purge.
    """
    conn.execute(
        text("""
            select set_config('row_security', 'off', true), set_config('lock_timeout', :wait, true),
                   set_config('statement_timeout', '60s', true), set_config('jit', 'off', true), set_config('enable_bitmapscan', 'off', true)
        """),
        {"wait": LOCK_WAIT},
    )


def _expired(one: Expiry) -> sql.Composed:
    return sql.SQL("({} and {} < {})").format(
        copying.condition(one.condition), sql.Identifier(one.since), sql.Literal(one.cutoff)
    )


def due(dataset: Dataset, plan: PurgePlan) -> sql.Composed:
    """Return the condition of the rows that go: past retention, and held by nobody at that moment."""
    parts = [_expired(one) for one in plan.expiries]
    expired = sql.SQL(" or ").join(parts) if parts else sql.SQL("false")
    return sql.SQL("(({}) and {})").format(expired, holds.free(dataset))


def count(conn: Connection, dataset: Dataset, plan: PurgePlan) -> Counted:
    """Count in one scan, in a transaction of its own."""
    conn.rollback()
    be_careful(conn)
    is_held = bool(holds.holds(conn, dataset=dataset.name))
    query = sql.SQL("""
        select rule, count(*), count(*) filter (where held), min(since) filter (where not held),
               max(since) filter (where not held),
               min(key) filter (where not held), max(key) filter (where not held)
        from (select {key} as key, {rule} as rule, {since} as since, {held} as held from {table}) found group by rule
    """).format(
        key=sql.Identifier(dataset.key),
        rule=_case(plan, lambda one: sql.Literal(one.rule)),
        since=_case(plan, lambda one: sql.Identifier(one.since)),
        held=sql.SQL("not {}").format(holds.free(dataset)) if is_held else sql.SQL("false"),
        table=copying.table_of(dataset),
    )
    # Counting reads the whole table; it holds no row.
    conn.execute(text("set local statement_timeout = 0"))
    found = {row[0]: row[1:] for row in copying.cursor_of(conn).execute(query)}
    conn.rollback()
    going = {one.rule: found.get(one.rule, (0, 0, *[None] * 4)) for one in plan.expiries}
    ranges = [Keys(row[4], row[5]) for row in going.values() if row[4] is not None]
    return Counted(
        sum(row[0] for row in found.values()),
        {rule: row[0] - row[1] for rule, row in going.items()},
        sum(row[1] for row in going.values()),
        {one.rule: found[one.rule][0] for one in plan.endless if one.rule in found},
        min((row[2] for row in going.values() if row[2]), default=None),
        max((row[3] for row in going.values() if row[3]), default=None),
        Keys(min(one.first for one in ranges), max(one.last for one in ranges)) if ranges else None,
    )


def _case(plan: PurgePlan, value: Any) -> sql.Composed:
    whens = [
        sql.SQL("when {} then {}").format(_expired(one), value(one))
        for one in (*plan.expiries, *plan.endless)
    ]
    return sql.SQL("case {} end").format(sql.SQL(" ").join(whens))


def estimated_bytes(conn: Connection, dataset: Dataset, counted: Counted) -> int:
    """Return what the rows that would go take in the table's files, by their share of it."""
    size: int = conn.execute(
        text("select pg_table_size(to_regclass(:table))"), {"table": dataset.table}
    ).scalar_one()
    conn.rollback()
    return size * counted.rows // max(1, counted.table_rows)


def sample_keys(conn: Connection, dataset: Dataset, plan: PurgePlan) -> list[int]:
    """Return the first few keys of the rows that would go."""
    be_careful(conn)
    query = sql.SQL("select {key} from {table} where {due} order by {key} limit {limit}").format(
        key=sql.Identifier(dataset.key),
        table=copying.table_of(dataset),
        due=due(dataset, plan),
        limit=sql.Literal(_SAMPLE_KEYS),
    )
    found = [int(row[0]) for row in copying.cursor_of(conn).execute(query)]
    conn.rollback()
    return found


def next_keys(
    conn: Connection, dataset: Dataset, plan: PurgePlan, within: Keys, size: int
) -> Keys | None:
    """Return the keys of the next batch, in a transaction of its own; None where no row within goes.

    It begins at the first row that goes and ends so many rows of the table later, whether they go or not: walking
    costs next to nothing then, and a batch never looks at more rows than that.
    """
    conn.rollback()
    be_careful(conn)
    # A long stretch of rows that stay is read once; nothing is locked meanwhile.
    conn.execute(text("set local statement_timeout = 0"))
    query = sql.SQL("""
        select k, (select max(k) from (select {key} as k from {table} where {key} >= first.k and {key} <= {last}
                                       order by {key} limit {size}) walked)
        from (select {key} as k from {table} where {key} between {first} and {last} and {due}
              order by {key} limit 1) first
    """).format(
        key=sql.Identifier(dataset.key),
        table=copying.table_of(dataset),
        first=sql.Literal(within.first),
        last=sql.Literal(within.last),
        due=due(dataset, plan),
        size=sql.Literal(size),
    )
    row = copying.cursor_of(conn).execute(query).fetchone()
    conn.rollback()
    return Keys(int(row[0]), int(row[1])) if row else None


def count_in(conn: Connection, dataset: Dataset, plan: PurgePlan, keys: Keys) -> int:
    """Count the rows of a range that should go and are still there."""
    query = sql.SQL("select count(*) from {} where {}").format(
        copying.table_of(dataset), _in_range(dataset, plan, keys)
    )
    row = copying.cursor_of(conn).execute(query).fetchone()
    return int(row[0]) if row else 0


def _in_range(dataset: Dataset, plan: PurgePlan, keys: Keys) -> sql.Composed:
    return sql.SQL("{} between {} and {} and {}").format(
        sql.Identifier(dataset.key),
        sql.Literal(keys.first),
        sql.Literal(keys.last),
        due(dataset, plan),
    )


def deletion(
    dataset: Dataset, plan: PurgePlan, keys: Keys, columns: dict[str, str], *, skips_locked: bool
) -> sql.Composed:
    """Return the statement that deletes a range and gives its rows; on request only those that nobody locks."""
    which = _in_range(dataset, plan, keys)
    if skips_locked:
        which = sql.SQL("{key} = any(array(select {key} from {table} where {which} for update skip locked))").format(
            key=sql.Identifier(dataset.key), table=copying.table_of(dataset), which=which
        )  # fmt: skip
    return sql.SQL("delete from {} where {} returning {}").format(
        copying.table_of(dataset), which, copying.columns_of(columns)
    )
