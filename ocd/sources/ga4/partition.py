"""Replace one partition whole, and keep what Google restated."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from ocd.core.errors import PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.sources.ga4.spool import Spool

log = logging.getLogger(__name__)

_FIND = statement(__file__, "find_partition.sql")
_REPLACE = statement(__file__, "replace_partition.sql")
_ADD_RESTATEMENT = statement(__file__, "add_restatement.sql")
_COPY = "copy landing.ga_row (partition_id, row_number, dimensions, metrics) from stdin"


@dataclass(frozen=True)
class Head:
    """What a partition is of, and who fetched it when."""

    property: str
    report: str
    day: date
    origin: str
    fetched_at: datetime
    run_id: int
    is_provisional: bool


def replace(conn: Connection, head: Head, spool: Spool) -> bool:
    """Put the spooled rows in the place of what stood there; returns whether Google restated it.

    Raises PolicyRefused where recorded data would replace live data. The caller commits.
    """
    before = conn.execute(_FIND, asdict(head)).first()
    if before and before.origin == "live" and head.origin == "recorded":
        raise PolicyRefused(
            f"GA4 {head.report} {head.day}: live data stands there and recorded data never replaces it; "
            "set OCD_GA_BACKEND=rest"
        )
    is_same = before is not None and before.content_sha256 == spool.sha256
    is_restated = (
        before is not None
        and not is_same
        and before.origin == head.origin
        and before.totals is not None
    )
    number: int = conn.execute(_REPLACE, _values(head, spool, is_restated)).scalar_one()
    if not is_same:
        conn.execute(text("delete from landing.ga_row where partition_id = :id"), {"id": number})
        _copy(conn, number, spool)
    if is_restated:
        _keep(conn, head, spool, before)
    return is_restated


def _values(head: Head, spool: Spool, is_restated: bool) -> dict[str, Any]:
    return (
        asdict(head)
        | asdict(spool.quality)
        | {
            "row_count": spool.row_count,
            "time_zone": spool.time_zone,
            "currency": spool.currency,
            "content_sha256": spool.sha256,
            "totals": json.dumps(spool.totals),
            "tokens": spool.tokens or None,
            "is_restated": is_restated,
        }
    )


def _copy(conn: Connection, number: int, spool: Spool) -> None:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the only driver we name
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for block in spool.lines(number):
            copy.write(block)


def _keep(conn: Connection, head: Head, spool: Spool, before: Any) -> None:
    values = {
        "rows_before": before.row_count,
        "rows_after": spool.row_count,
        "totals_before": json.dumps(before.totals),
        "totals_after": json.dumps(spool.totals),
        "fetched_before_at": before.fetched_at,
    }
    conn.execute(_ADD_RESTATEMENT, asdict(head) | values)
    log.info("ga_restated", extra={"report": head.report, "day": head.day.isoformat()})
