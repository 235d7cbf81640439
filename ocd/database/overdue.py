"""Rows that are long past their time: the purge does not run, or cannot."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Text,
    any_,
    cast,
    column,
    func,
    literal,
    not_,
    select,
    table,
    text,
)

from ocd.database.findings import Scene
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.ledger import holds


def overdue(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yield tables with rows that a purge should have taken `limits.overdue_after` ago; held ones stay."""
    for dataset in DATASETS:
        count = _count(scene.conn, dataset, scene)
        if count:
            days = scene.limits.overdue_after.days
            yield dataset.table, f"{count:,} rows are more than {days} days past retention"


def _count(conn: Connection, dataset: Dataset, scene: Scene) -> int:
    """Count what each rule should have taken; the first rule that matches a row decides about it."""
    source = table(dataset.relation, schema=dataset.schema)
    held = holds.held(conn, dataset.name)
    if held.is_whole:
        return 0
    total, earlier = 0, ["false"]
    for rule in dataset.retention.rules if dataset.retention else ():
        if rule.keep is not None:
            query = (
                select(func.count())
                .select_from(source)
                .where(text(f"({rule.where or 'true'}) and not ({' or '.join(earlier)})"))
                .where(column(rule.since) < scene.now - rule.keep - scene.limits.overdue_after)
            )
            if held.conversations:
                query = query.where(_is_free(held.conversations))
            total += conn.execute(query).scalar_one()
        earlier.append(f"({rule.where or 'true'})")
    return total


def _is_free(conversations: tuple[str, ...]) -> ColumnElement[bool]:
    """True for rows of no conversation that is held."""
    names = literal(list(conversations), ARRAY(Text))
    return not_(func.coalesce(cast(column("conversation_id"), Text) == any_(names), False))
