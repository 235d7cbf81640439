"""Rows that are long past their time: the purge does not run, or cannot."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, column, func, select, table, text

from ocd.database.findings import Scene
from ocd.datasets.facts import Dataset
from ocd.datasets.registry import DATASETS
from ocd.ledger import holds, retention


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
    longer = retention.lengthened(conn, dataset.name)
    free = text(holds.free(dataset).as_string())
    total, earlier = 0, ["false"]
    for rule in dataset.retention.rules if dataset.retention else ():
        if rule.keep is not None:
            keep = max(rule.keep, longer.get(rule.name, rule.keep))
            query = (
                select(func.count())
                .select_from(source)
                .where(text(f"({rule.where or 'true'}) and not ({' or '.join(earlier)})"), free)
                .where(column(rule.since) < scene.now - keep - scene.limits.overdue_after)
            )
            total += conn.execute(query).scalar_one()
        earlier.append(f"({rule.where or 'true'})")
    return total
