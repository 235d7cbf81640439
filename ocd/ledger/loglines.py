"""Keep a run's log lines with it, so that `ocd logs RUN` answers months later."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ocd.core.logging import extra_fields

#: A run that logs more than this keeps the first lines and says how many were dropped.
MAX_LINES = 2000
FLUSH_EVERY_S = 1.0

_INSERT = text("""
    insert into ocd.log_line (run_id, fence, at, level, event, fields)
    values (:run_id, :fence, :at, :level, :event, cast(:fields as jsonb))
""")


class _Collector(logging.Handler):
    def __init__(self, engine: Engine, run_id: int, fence: int) -> None:
        super().__init__(logging.INFO)
        self._engine, self._run_id, self._fence = engine, run_id, fence
        self._lines: list[dict[str, Any]] = []
        self._count = 0
        self._flushed_at = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        # SQLAlchemy's own records while we write ours would never end.
        if record.name.startswith("sqlalchemy"):
            return
        self._count += 1
        if self._count > MAX_LINES:
            return
        self._lines.append(
            {
                "run_id": self._run_id,
                "fence": self._fence,
                "at": datetime.fromtimestamp(record.created, UTC),
                "level": record.levelname.lower(),
                "event": record.getMessage(),
                "fields": json.dumps(extra_fields(record), default=str),
            }
        )
        if time.monotonic() - self._flushed_at >= FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        self._flushed_at = time.monotonic()
        try:
            with self._engine.begin() as conn:
                conn.execute(_INSERT, lines)
        except SQLAlchemyError:
            # The database is away: the same lines stand in the worker's own log.
            return


@contextmanager
def kept(engine: Engine, run_id: int, fence: int) -> Iterator[None]:
    """Keep what is logged in the body (INFO and above) as lines of the run."""
    collector = _Collector(engine, run_id, fence)
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        yield
    finally:
        root.removeHandler(collector)
        collector.flush()
