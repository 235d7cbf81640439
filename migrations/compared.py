"""The tables as the datasets' facts say them, for `alembic check` to compare a live schema with.

Columns with their types, whether they may be null, and the comments. Defaults, indexes, constraints,
policies and rights are not looked at: the lock file holds those.
"""

from __future__ import annotations

from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine, UserDefinedType

from ocd.datasets.registry import DATASETS


class _AsSaid(UserDefinedType[Any]):
    """A type by the name that PostgreSQL prints."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


def metadata() -> MetaData:
    """Return every dataset's table."""
    made = MetaData()
    for dataset in DATASETS:
        columns = (
            Column(
                one.name,
                _AsSaid(one.type),
                nullable=one.nullable,
                comment=one.comment,
                primary_key=one.name == dataset.key,
            )
            for one in dataset.columns
        )
        Table(
            dataset.relation,
            made,
            *columns,
            schema=dataset.schema,
            comment=dataset.description,
        )
    return made


def is_other_type(
    context: MigrationContext,
    live: Column[Any],
    meant: Column[Any],
    live_type: TypeEngine[Any],
    meant_type: TypeEngine[Any],
) -> bool:
    """Whether the types differ in any word; Alembic itself takes a list for its items' type."""
    live_name, meant_name = (
        one.compile(context.dialect).lower().replace(" ", "") for one in (live_type, meant_type)
    )
    return live_name != meant_name


def is_compared(
    item: SchemaItem, name: str | None, kind: str, is_live: bool, meant: SchemaItem | None
) -> bool:
    """Whether Alembic compares it: our tables and their columns."""
    if kind == "table":
        return not is_live or meant is not None
    return kind == "column"
