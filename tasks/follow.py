"""Follow runs in the ledger until they end, showing progress; repairs what a dead worker left."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.live import Live

from ocd.ledger import history
from ocd.ledger.states import ENDS
from tasks import runtime
from tasks.ledger import reconcile_now
from tasks.render import console, evidence_text, runs_table, subject_text

POLL_S = 0.25
SWEEP_S = 5.0


def follow(
    run_ids: Sequence[int], *, quiet: bool = False, timeout_s: float | None = None
) -> list[dict[str, Any]]:
    """Wait until every run has ended or can no longer start; returns them in the order given.

    A terminal sees a live table, anything else a line per change of state.
    """
    if quiet:
        return _wait(run_ids, lambda runs: None, timeout_s)
    shown = console()
    if not shown.is_terminal:
        return _wait(run_ids, _Lines(), timeout_s)
    with Live(console=shown, refresh_per_second=8, transient=True) as live:
        return _wait(run_ids, lambda runs: live.update(runs_table(runs)), timeout_s)


class _Lines:
    """Prints a line when a run's state changes, to standard error."""

    def __init__(self) -> None:
        self._seen: dict[int, str] = {}

    def __call__(self, runs: list[dict[str, Any]]) -> None:
        for run in runs:
            if self._seen.get(run["id"]) != run["state"] and run["state"] != "waiting":
                self._seen[run["id"]] = run["state"]
                name = f"{run['job']} {subject_text(run)}".strip()
                sys.stderr.write(f"{run['state']:<9} {name:<36} {evidence_text(run)}\n")


def _wait(run_ids: Sequence[int], show: Any, timeout_s: float | None) -> list[dict[str, Any]]:
    engine = runtime.engine()
    started = swept = time.monotonic()
    while True:
        with engine.connect() as conn:
            found = {
                run["id"]: run for run in history.runs(conn, ids=list(run_ids), limit=len(run_ids))
            }
        runs = [found[run_id] for run_id in run_ids]
        show(runs)
        late = timeout_s is not None and time.monotonic() - started > timeout_s
        if late or all(run["state"] in ENDS or _is_stuck(run, found) for run in runs):
            return runs
        if time.monotonic() - swept > SWEEP_S:
            swept = time.monotonic()
            reconcile_now()
        time.sleep(POLL_S)


def _is_stuck(run: dict[str, Any], found: dict[int, dict[str, Any]]) -> bool:
    """Whether the run waits for a step that ended badly, or for one that nothing here moves on."""
    if run["state"] != "waiting" or run["not_before"] or run["backfill_id"]:
        return False
    return bool(run["blocked_by"]) or not any(
        other["state"] in {"queued", "running"} or other["not_before"] for other in found.values()
    )
