"""Put records of decisions and telemetry into their tables, each once however often it is loaded."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection

from ocd.core.sqlfiles import statement
from ocd.sources.decisions.read import Record, Shape

log = logging.getLogger(__name__)

_INSERT = {
    Shape.SYNC: statement(__file__, "insert_syncs.sql"),
    Shape.DECISION: statement(__file__, "insert_decisions.sql"),
    Shape.HEARTBEAT: statement(__file__, "insert_heartbeats.sql"),
}


@dataclass(frozen=True)
class LoadReport:
    """How many records of each shape were read, and how many of them were new."""

    version: ClassVar[int] = 1
    read: dict[str, int]
    new: dict[str, int]

    @property
    def rows(self) -> int:
        """Rows written."""
        return sum(self.new.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = [f"{self.new[shape]:,} of {self.read[shape]:,} {shape}s new" for shape in self.read]
        return ", ".join(parts) or "no records"


def load(conn: Connection, found: Iterable[Record]) -> LoadReport:
    """Insert what is not there yet. The caller commits."""
    by_shape: dict[Shape, list[dict[str, object]]] = {}
    for record in found:
        by_shape.setdefault(record.shape, []).append(dict(record.row))
    new = {
        shape.value: conn.execute(_INSERT[shape], {"rows": json.dumps(rows)}).rowcount
        for shape, rows in by_shape.items()
    }
    log.info("loaded", extra={"rows": sum(new.values())})
    return LoadReport({shape.value: len(rows) for shape, rows in by_shape.items()}, new)
