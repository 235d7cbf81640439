"""Ask every question of the audit, report what was found, and tell people once about each kind."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection, text

from ocd.database.checks import CHECKS
from ocd.database.findings import Check, Finding, Limits, Scene, Severity, Stack
from ocd.ledger import incidents
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run

log = logging.getLogger(__name__)

SOURCE = "database.audit"
#: Findings that the ledger's row keeps; the artifact has all.
EVIDENCE_FINDINGS = 40
_WORST_FIRST = tuple(reversed(Severity))


@dataclass(frozen=True)
class AuditReport:
    """What was asked and found, worst first."""

    version: ClassVar[int] = 1
    checks: int
    found_by_check: dict[str, int]
    findings: tuple[Finding, ...]
    artifact: str

    @property
    def rows(self) -> int:
        """How many findings there are."""
        return sum(self.found_by_check.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.found_by_check:
            return f"{self.checks} checks of the database: nothing found"
        worst = ", ".join(
            f"{name} {count}" for name, count in list(self.found_by_check.items())[:3]
        )
        return f"{self.checks} checks of the database: {self.rows} findings ({worst})"


def look(
    conn: Connection,
    *,
    now: datetime,
    stack: Stack,
    limits: Limits | None = None,
    checks: Iterable[Check] = CHECKS,
) -> list[Finding]:
    """Return what the checks find, worst first, in one read-only snapshot that is closed again.

    A login that row security would filter gets an error instead of a clean bill.
    """
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    conn.execute(text("set local row_security = off"))
    scene = Scene(conn, now, limits or Limits(), stack)
    found = [finding for check in checks for finding in check.findings(scene)]
    conn.rollback()
    return sorted(found, key=lambda one: _WORST_FIRST.index(one.severity))


def audit(
    conn: Connection, *, run: Run, keeper: Keeper, now: datetime, stack: Stack
) -> AuditReport:
    """Look, keep what was found, open an incident per check that found something wrong.

    What was found before and is gone closes its incident; findings that only inform open none.
    Commits once.
    """
    found = look(conn, now=now, stack=stack)
    counts = dict(Counter(one.check for one in found))
    name = f"audits/{run.window.label}/run-{run.id}-g{run.generation}-f{run.fence}.json"
    with run.batch(conn) as batch:
        stored = keeper.put(conn, SOURCE, "database-audit", name, _details(found, now))
        for check in CHECKS:
            _tell(conn, check, [one for one in found if one.check == check.name], run)
        batch.progress(len(CHECKS), len(CHECKS), "checks")
    log.info("audited", extra={"findings": len(found), "checks": len(CHECKS)})
    return AuditReport(len(CHECKS), counts, tuple(found[:EVIDENCE_FINDINGS]), stored.name)


def _tell(conn: Connection, check: Check, found: list[Finding], run: Run) -> None:
    cause = f"audit:{check.name}"
    if not found:
        incidents.close(conn, cause)
    elif check.severity is not Severity.INFO:
        first = f"{found[0].object}: {found[0].detail}"
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        summary = f"{check.name}: {first}{more}; {check.mend}"
        incidents.open_finding(conn, cause, run_id=run.id, summary=summary)


def _details(found: list[Finding], now: datetime) -> bytes:
    body = {
        "audited_at": now.isoformat(),
        "checks": [
            {"name": one.name, "severity": one.severity, "question": one.question, "mend": one.mend}
            for one in CHECKS
        ],
        "findings": [asdict(one) for one in found],
    }
    return json.dumps(body, indent=1).encode()
