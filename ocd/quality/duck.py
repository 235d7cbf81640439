"""DuckDB, where files are read: in bounded memory, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocd.core.errors import ConfigError, ContractBroken

if TYPE_CHECKING:
    import duckdb

_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "512MB",
    "threads": "2",
}
#: A CSV as `copy … (format csv, header)` writes it. Left to guess, DuckDB takes a line that begins with a # for
#: a remark and a ragged file for one of a single column.
CSV: dict[str, Any] = {
    "header": True,
    "sep": ",",
    "quotechar": '"',
    "escapechar": '"',
    "comment": "",
    "skiprows": 0,
}
_SHAPES = {
    ".csv": "CSV: UTF-8, columns named in the first line, as many values on each, commas between them",
    ".jsonl": "JSON lines: UTF-8, one object on each",
    ".json": "JSON: UTF-8, one object or an array of them",
    ".parquet": "Parquet: it may be cut off",
}
_LINE = re.compile(r"CSV Error on Line: (\d+)")


def package() -> Any:
    """Return the package; raises ConfigError where it is not installed."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise ConfigError("reading files needs DuckDB: pip install 'ocd[duckdb]'") from error
    return duckdb


@contextmanager
def opened() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database in memory; what does not fit goes to a private folder that is removed."""
    with (
        tempfile.TemporaryDirectory(prefix="ocd-duck-") as spill,
        package().connect(config=_CONFIG | {"temp_directory": spill}) as duck,
    ):
        duck.execute("set enable_progress_bar = false")  # it writes where a machine reads JSON
        yield duck


def require(path: Path, suffixes: Collection[str]) -> None:
    """Raise ConfigError unless this is a file of such a kind that may be read, ContractBroken where it is empty.

    JSON lines may be empty: a table without rows is written so.
    """
    if path.suffix not in suffixes:
        raise ConfigError(f"{path.name}: expected a file that ends in {', '.join(suffixes)}")
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if is_empty and path.suffix != ".jsonl":
        raise ContractBroken(f"{path.name}: it is empty")


@contextmanager
def reading(name: str, suffix: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours, which say what was expected and on which line; they quote nothing."""
    try:
        yield
    except package().OutOfMemoryException:
        limit = _CONFIG["memory_limit"]
        raise ContractBroken(f"{name}: it takes more than {limit} to read; cut it up") from None
    except package().Error as error:
        found = _LINE.search(str(error))
        where = f"line {found[1]} of it" if found else "it"
        raise ContractBroken(f"{name}: {where} does not read as {_SHAPES[suffix]}") from None
