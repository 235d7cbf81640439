"""Plan a cleansing: count in one scan what would be mended, and keep the plan under its hash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, PolicyRefused
from ocd.datasets.facts import Dataset, Pii
from ocd.datasets.registry import dataset as dataset_named
from ocd.ledger import holds
from ocd.quality.cleanse import statements
from ocd.quality.cleanse.fixes import Fix, chosen
from ocd.quality.cleanse.policy import CleansingPlan, masked, shown
from ocd.quality.cleanse.statements import Mended

#: Rows that a plan shows before and after.
SAMPLES = 20

_COUNT = sql.SQL("""
    select count(*), count(*) filter (where {faulty}), coalesce(max(t.{key}) filter (where {faulty}), 0),
      coalesce(sum(hash_record_extended(row(t.{key}, {values}), 0)::numeric) filter (where {faulty}), 0), {counts}
    from {mended}
""")
_SAMPLE = sql.SQL("""
    select t.{key}, {values} from {mended} where ({faulty}) and {free} order by t.{key} limit {limit}
""")


@dataclass(frozen=True)
class Sample:
    """One value before and after; of a column with personal data only its shape."""

    key: int
    column: str
    before: str | None
    after: str | None


def plan(conn: Connection, fixes: Sequence[Fix], *, last_key: int | None = None) -> CleansingPlan:
    """Return what the fixes would mend now, up to a key if one is given. Changes nothing.

    Rows under a legal hold are left as they are. All fixes are of one dataset.
    """
    dataset = fixes[0].dataset
    columns = statements.columns_of(fixes)
    _see_all(conn)
    is_meant = sql.SQL("{} and t.{} <= {}").format(
        holds.free(dataset, "t"),
        sql.Identifier(dataset.key),
        sql.Literal(last_key if last_key is not None else 2**63 - 1),
    )
    query = _COUNT.format(
        key=sql.Identifier(dataset.key),
        mended=statements.mended(dataset, columns),
        faulty=sql.SQL("({}) and {}").format(statements.is_faulty(columns), is_meant),
        values=_values(columns),
        counts=sql.SQL(", ").join(
            _count(one, step, is_meant) for one in columns for step in range(len(one.fixes))
        ),
    )
    row = statements.cursor_of(conn).execute(query).fetchone()
    assert row is not None, "an aggregate gives a row"  # noqa: S101
    of_rows, rows, last, fingerprint, *counts = row
    ordered = [fix.id for one in columns for fix in one.fixes]
    return CleansingPlan(
        dataset.name,
        {fix.id: fix.fixer.version for fix in fixes},
        dict(zip(ordered, counts, strict=True)),
        rows,
        of_rows,
        last,
        str(fingerprint),
    )


def samples(conn: Connection, fixes: Sequence[Fix]) -> tuple[Sample, ...]:
    """Return values of the first rows that would be mended, before and after."""
    dataset = fixes[0].dataset
    columns = statements.columns_of(fixes)
    _see_all(conn)
    query = _SAMPLE.format(
        key=sql.Identifier(dataset.key),
        mended=statements.mended(dataset, columns),
        faulty=statements.is_faulty(columns),
        free=holds.free(dataset, "t"),
        values=sql.SQL(", ").join(
            sql.SQL("({})::text").format(statements.expression(text))
            for one in columns
            for text in (one.old, one.new)
        ),
        limit=sql.Literal(SAMPLES),
    )
    found = []
    for key, *values in statements.cursor_of(conn).execute(query):
        for one, before, after in zip(columns, values[::2], values[1::2], strict=True):
            if before != after:
                show = shown if one.fixes[0].facts.pii is Pii.NONE else masked
                found.append(Sample(key, one.column, show(before), show(after)))
    return tuple(found)


def keep(conn: Connection, plan: CleansingPlan, *, planned_by: str) -> None:
    """Keep a plan, so that it can be applied by its hash; the caller commits."""
    conn.execute(
        text("""
            insert into ocd.cleansing_plan (hash, dataset, fixes, counts, rows, of_rows, last_key, planned_by)
            values (:hash, :dataset, cast(:fixes as jsonb), cast(:counts as jsonb), :rows, :of_rows, :last_key, :by)
            on conflict (hash) do nothing
        """),
        {
            "hash": plan.hash,
            "dataset": plan.dataset,
            "fixes": json.dumps(dict(plan.fixes)),
            "counts": json.dumps(dict(plan.counts)),
            "rows": plan.rows,
            "of_rows": plan.of_rows,
            "last_key": plan.last_key,
            "by": planned_by,
        },
    )


@dataclass(frozen=True)
class KeptPlan:
    """A plan as it was made: its fixes, and the last key that it spoke of."""

    hash: str
    dataset: Dataset
    fixes: tuple[Fix, ...]
    rows: int
    last_key: int


def kept(conn: Connection, plan_hash: str) -> KeptPlan:
    """Return the kept plan of a hash; raises ConfigError for none, PolicyRefused where a fix says something else now."""
    row = conn.execute(
        text("select * from ocd.cleansing_plan where hash = :hash"), {"hash": plan_hash}
    ).first()
    if row is None:
        raise ConfigError(
            f"there is no plan {plan_hash!r}; `ocd quality cleanse plan TABLE` makes one and prints its hash"
        )
    dataset = dataset_named(row.dataset)
    fixes = chosen(dataset, row.fixes)
    if {one.id: one.fixer.version for one in fixes} != row.fixes:
        raise PolicyRefused(
            f"plan {plan_hash}: its fixes mend otherwise since; `ocd quality cleanse plan {dataset.name}` plans anew"
        )
    return KeptPlan(plan_hash, dataset, fixes, row.rows, row.last_key)


def _see_all(conn: Connection) -> None:
    """Have a login that row security would filter get an error, not some of the rows."""
    conn.execute(text("set local row_security = off"))


def _values(columns: Sequence[Mended]) -> sql.Composed:
    return sql.SQL(", ").join(
        statements.expression(text) for one in columns for text in (one.old, one.new)
    )


def _count(one: Mended, step: int, is_meant: sql.Composed) -> sql.Composed:
    """Return how many rows the fix at this step mends."""
    return sql.SQL("count(*) filter (where {} is distinct from {} and {})").format(
        statements.expression(one.after(step)), statements.expression(one.after(step + 1)), is_meant
    )


def described(plan: CleansingPlan) -> dict[str, Any]:
    """Return a plan as JSON knows it."""
    return {
        "hash": plan.hash,
        "dataset": plan.dataset,
        "rows": plan.rows,
        "of_rows": plan.of_rows,
        "fixes": dict(plan.counts),
    }
