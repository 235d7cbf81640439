"""Profile a file: Parquet, CSV or JSON lines, by DuckDB's SUMMARIZE, in bounded memory."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocd.datasets.facts import Dataset
from ocd.quality import duck
from ocd.quality.profile.columns import is_open

if TYPE_CHECKING:
    import duckdb

#: Per suffix, how DuckDB reads it.
READERS: Mapping[str, Callable[[duckdb.DuckDBPyConnection, str], duckdb.DuckDBPyRelation]] = {
    ".parquet": lambda db, name: db.read_parquet(name),
    ".csv": lambda db, name: db.read_csv(name, **duck.CSV),
    ".jsonl": lambda db, name: db.read_json(name, format="newline_delimited"),
}
#: Types whose smallest and largest value say something and name nobody; of numbers also where they lie.
_INSTANTS = ("DATE", "TIMESTAMP")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_INTEGERS, *(f"U{one}" for one in _INTEGERS), "FLOAT", "DOUBLE", "DECIMAL")
_ENDS, _PLACES = ("min", "max"), ("avg", "std", "q25", "q50", "q75")


@dataclass(frozen=True)
class FileColumn:
    """Aggregates of one column of a file."""

    name: str
    type: str
    rows: int
    null_share: float
    distinct: int
    stats: Mapping[str, str]


def profile_file(path: Path, dataset: Dataset | None = None) -> tuple[FileColumn, ...]:
    """Return the profile of a file's columns, whose nulls and distinct values are close estimates.

    Values are told of numbers and instants only; where `dataset` says which columns hold personal
    data, not of those. Raises ConfigError for a file of another kind or that may not be read and for a
    missing package, ContractBroken for one that does not read as what it should be.
    """
    duck.require(path, READERS)
    with duck.opened() as db, duck.reading(path.name, path.suffix):
        READERS[path.suffix](db, glob.escape(str(path))).create_view("file")
        rows = db.execute("summarize file").fetchall()
        names = [one[0] for one in db.description or ()]
    hidden = {one.name for one in dataset.columns if not is_open(one)} if dataset else set()
    return tuple(_column(dict(zip(names, row, strict=True)), hidden) for row in rows)


def _column(found: Mapping[str, Any], hidden: set[str]) -> FileColumn:
    name, kind = str(found["column_name"]), str(found["column_type"])
    told = () if name in hidden else _told(kind)
    return FileColumn(
        name,
        kind,
        int(found["count"]),
        float(found["null_percentage"] or 0) / 100,
        int(found["approx_unique"] or 0),
        {one: str(found[one]) for one in told if found[one] is not None},
    )


def _told(kind: str) -> tuple[str, ...]:
    """Return which figures of a column of this type are told."""
    if kind.startswith(_NUMBERS):
        return (*_ENDS, *_PLACES)
    return _ENDS if kind.startswith(_INSTANTS) else ()
