"""Housekeeping of the ledger; leaves one heartbeat row and sends no events."""

from __future__ import annotations

from typing import Any

from ocd.core.cluster import sweep_scratch
from ocd.ledger import reconcile
from tasks import runtime
from tasks.app import app
from tasks.publish import publish


def reconcile_now() -> reconcile.Sweep:
    """Reap expired leases and send what the broker lost."""
    sweep_scratch()
    return reconcile.sweep(runtime.engine(), publish)


def _reconcile() -> str:
    found = reconcile_now()
    return f"reaped {len(found.reaped)}, dead {len(found.dead)}, published {len(found.published)}"


reconcile_task: Any = app.task(name="ledger.reconcile", ignore_result=True, send_events=False)(
    _reconcile
)
