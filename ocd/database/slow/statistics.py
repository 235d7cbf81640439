"""Slow statements as the extension pg_stat_statements sums them up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, text

from ocd.core.sqlfiles import statement
from ocd.database.slow.source import Record

_STATISTICS = statement(__file__, "list_statistics.sql")
_SCHEMA = text("""
    select relnamespace::regnamespace::text from pg_class
    where relname = 'pg_stat_statements' and relkind = 'v' and has_table_privilege(oid, 'select')
""")


class Statistics:
    """Everything since the statistics were last reset; `since` cannot narrow that."""

    name = "pg_stat_statements"

    def __init__(self, conn: Connection, schema: str) -> None:
        self._conn, self._schema = conn, schema
        self.known_since: datetime | None = self._reset_at()
        #: Statements whose text this login may not read.
        self.hidden = 0

    @classmethod
    def found(cls, conn: Connection) -> Statistics | None:
        """Return it where the extension is installed and readable."""
        schema = conn.execute(_SCHEMA).scalar()
        return None if schema is None else cls(conn, schema)

    def read(self, *, since: datetime, slower_than_ms: float) -> Iterator[Record]:
        """Yield one record per statement and role."""
        with self._conn.begin_nested() as savepoint:
            self._look_in_schema()
            rows = self._conn.execute(_STATISTICS, {"slower_than_ms": slower_than_ms}).all()
            savepoint.rollback()
        for row in rows:
            if row.statement is None:
                self.hidden += 1
            else:
                yield Record(row.statement, row.role, row.calls, row.total_ms, row.max_ms)

    def _look_in_schema(self) -> None:
        self._conn.execute(
            text("select set_config('search_path', :schema, true)"), {"schema": self._schema}
        )

    def _reset_at(self) -> datetime | None:
        # The view of the reset exists since version 1.9 of the extension.
        with self._conn.begin_nested() as savepoint:
            self._look_in_schema()
            info = self._conn.execute(text("select to_regclass('pg_stat_statements_info')"))
            found: datetime | None = None
            if info.scalar() is not None:
                found = self._conn.execute(
                    text("select stats_reset from pg_stat_statements_info")
                ).scalar()
            savepoint.rollback()
        return found
