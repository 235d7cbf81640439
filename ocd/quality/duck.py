"""DuckDB, where files are read: in bounded memory, and nothing is loaded from elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ocd.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "512MB",
    "threads": "2",
}


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
