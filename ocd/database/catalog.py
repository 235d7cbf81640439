"""The schema as sorted lines: what is there, what was meant, and how the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from ocd.core import migrate
from ocd.core.sqlfiles import statement

_LIST = statement(__file__, "list_catalog.sql")


@dataclass(frozen=True)
class Drift:
    """Lines that were meant and are not there, and lines on our objects that nobody meant."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def lines(conn: Connection) -> list[str]:
    """Return the schema's lines, sorted: equal lines, equal schema."""
    return sorted(_live(conn))


def _live(conn: Connection) -> dict[str, str]:
    """Return each line with the object that it is about, every name in it written with its schema."""
    with conn.begin_nested() as savepoint:
        conn.execute(text("set local search_path = ''"))
        found = {row.line: row.object for row in conn.execute(_LIST)}
        savepoint.rollback()
    return found


def lock_file() -> Path:
    """Return the file that holds the lines of the newest revision."""
    return migrate.folder() / "schema.lock"


def locked() -> list[str]:
    """Return the lines that were meant."""
    return lock_file().read_text(encoding="utf-8").splitlines()


def drift(conn: Connection) -> Drift:
    """Compare the live schema with the lock file. What somebody else keeps beside ours is not looked at."""
    meant = set(locked())
    live = _live(conn)
    ours = {
        line.split(" ")[1] for line in meant if line.startswith(("table ", "view ", "function "))
    }
    return Drift(
        tuple(sorted(meant - set(live))),
        tuple(sorted(line for line in set(live) - meant if _is_ours(live[line], ours))),
    )


def _is_ours(name: str, ours: set[str]) -> bool:
    # A function's name in a line ends at its first argument.
    return name.split(" ", maxsplit=1)[0] in ours or name.startswith(("ocd.", "landing."))
