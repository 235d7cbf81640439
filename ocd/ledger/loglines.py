"""Keep a run's log lines with it, so that `ocd logs RUN` answers months later."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ocd.core.db import autocommit, on_driver
from ocd.core.logging import extra_fields
from ocd.core.sqlfiles import statement

#: A run that logs more than this keeps the first lines and says how many were dropped.
MAX_LINES = 2000
FLUSH_EVERY_S = 1.0

_ADD = statement(__file__, "add_log_lines.sql")


class Lines(logging.Handler):
    """Collects what an attempt logs; writes it now and then, and leaves the last lines to its ending."""

    def __init__(self, engine: Engine, run_id: int, fence: int) -> None:
        super().__init__(logging.INFO)
        self._engine, self._run_id, self._fence = engine, run_id, fence
        self._lines: list[str] = []  # JSON already: what a line names may change after it
        self._count = 0
        self._flushed_at = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        # SQLAlchemy's own records while we write ours would never end.
        if record.name.startswith("sqlalchemy"):
            return
        self._count += 1
        if self._count > MAX_LINES:
            return
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "fields": extra_fields(record),
        }
        self._lines.append(json.dumps(line, default=str))
        if time.monotonic() - self._flushed_at >= FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines, in a transaction of their own."""
        lines = self.pending()
        if not self.forget():
            return
        self._flushed_at = time.monotonic()
        try:
            with autocommit(self._engine) as conn:
                values = {"run_id": self._run_id, "fence": self._fence, "lines": lines}
                on_driver(conn, _ADD, values)
        except SQLAlchemyError:
            # The database is away: the same lines stand in the worker's own log.
            return

    def pending(self) -> str | None:
        """Return the lines that are not written yet, as JSON; None where there are none."""
        return f"[{','.join(self._lines)}]" if self._lines else None

    def forget(self) -> bool:
        """Forget the lines that are not written yet; returns whether there were any."""
        had, self._lines = bool(self._lines), []
        return had


@contextmanager
def kept(engine: Engine, run_id: int, fence: int) -> Iterator[Lines]:
    """Keep what is logged in the body (INFO and above) as lines of the run.

    Yields them: who writes the `pending` ones with the attempt's ending lets them be forgotten, and saves
    a transaction.
    """
    lines = Lines(engine, run_id, fence)
    root = logging.getLogger()
    root.addHandler(lines)
    try:
        yield lines
    finally:
        root.removeHandler(lines)
        lines.flush()
