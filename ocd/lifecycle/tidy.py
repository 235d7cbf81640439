"""Clean up behind a purge where the login may: vacuum and analyze; else autovacuum does, in its time."""

from __future__ import annotations

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from ocd.core.db import autocommit
from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset
from ocd.lifecycle import copying

_MAY_VACUUM = statement(__file__, "may_vacuum.sql")


def vacuum(engine: Engine, dataset: Dataset) -> bool:
    """Vacuum and analyze the table, unless somebody locks it; returns whether the login may."""
    with autocommit(engine) as conn:
        cursor = copying.cursor_of(conn)
        if not conn.execute(_MAY_VACUUM, {"table": dataset.table}).scalar_one():
            return False
        cursor.execute(
            sql.SQL("vacuum (analyze, skip_locked) {}").format(copying.table_of(dataset))
        )
        return True


def dead_rows(conn: Connection, dataset: Dataset) -> int | None:
    """Return how many deleted rows the table's file still holds, as the server last counted."""
    found: int | None = conn.execute(
        text("select n_dead_tup from pg_stat_user_tables where relid = to_regclass(:table)"),
        {"table": dataset.table},
    ).scalar()
    conn.rollback()
    return found
