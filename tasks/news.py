"""Tell people of incidents: what the ledger noted and nobody was told of yet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from ocd.ledger import history, incidents
from ocd.ledger.notify import LOG_LINES, Channels, notify
from tasks import runtime


def tell_people() -> int:
    """Tell of every opened and closed incident, once each; returns how many were told.

    What no channel took stays untold, and the next sweep tries again.
    """
    settings = runtime.settings()
    channels = Channels(settings.webhook_url, settings.notify_urls)
    if not channels:
        return 0
    with runtime.engine().begin() as conn:
        untold = incidents.take_untold(conn)
        news = [(one, *_about(conn, one["run_id"])) for one in untold]
    told = 0
    for incident, run, lines in news:
        if notify(channels, incident, run, lines):
            told += 1
            continue
        with runtime.engine().begin() as conn:
            incidents.untell(conn, incident)
    return told


def _about(
    conn: Connection, run_id: int | None
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    if run_id is None:
        return None, []
    return history.run(conn, run_id), history.log_lines(conn, run_id, last=LOG_LINES)
