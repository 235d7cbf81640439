"""Check rules in one snapshot, remember what came of it, tell people, close and open gates."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine

from ocd.ledger import gates
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.quality import page, results, tell
from ocd.quality.look import Checked, look
from ocd.quality.policy import (
    Mode,
    Outcome,
    Point,
    Status,
    scores,
    worst_first,
)
from ocd.quality.results import Judged
from ocd.quality.rule import Rule

SOURCE = "quality.check"
#: Findings, and keys of each, that the ledger's row keeps; the table of results has all.
EVIDENCE_FINDINGS = 40
EVIDENCE_KEYS = 5


@dataclass(frozen=True)
class Finding:
    """A rule that data fails, or that is broken: how many rows, what share of them, keys of some.

    A rule about the table as a whole fails with share 1 and has no keys.
    """

    rule: str
    severity: str
    failed: int
    share: float
    sample_keys: tuple[int, ...]
    detail: str | None = None

    @property
    def text(self) -> str:
        """It in words."""
        return f"{self.rule} {self.failed:,}" if self.failed else f"{self.rule} could not be asked"


@dataclass(frozen=True)
class QualityReport:
    """What was checked and found, worst first; `scans` counts statements that read the tables."""

    version: ClassVar[int] = 3
    rows: int
    rules: int
    scans: int
    findings: tuple[Finding, ...]
    findings_by_severity: dict[str, int]
    unusual: tuple[str, ...]
    waiting: int
    left_out: tuple[str, ...]
    scores: dict[str, float]
    artifact: str | None

    @property
    def summary(self) -> str:
        """One line for people."""
        checked = f"{self.rules} rules over {self.rows:,} rows"
        if self.left_out:
            checked += f", without {', '.join(self.left_out)} (too dear)"
        if not self.findings:
            return f"{checked}: nothing found"
        worst = ", ".join(one.text for one in self.findings[:3])
        count = sum(self.findings_by_severity.values())
        return f"{checked}: {count} with findings ({worst})"


def check(
    conn: Connection,
    rules: Sequence[Rule],
    *,
    run: Run,
    keeper: Keeper,
    now: datetime,
    mode: Mode = Mode.FULL,
    reader: Engine | None = None,
    dear: float | None = None,
    max_cost: float | None = None,
    stops: Sequence[str] = (),
    known: Collection[str] | None = None,
) -> QualityReport:
    """Check the rules in one snapshot, each table's in one scan, and remember what came of it.

    Findings are results: data that breaks every rule is reported, never raised. Keys of some failing
    rows are kept; no other value leaves the tables. `reader` is the read-only login for rules written
    as a statement; `stops` names the jobs that a closed gate holds back; `known` every rule that
    there is: what others once found is over. Commits once, after the snapshot is closed.
    """
    limits = {"dear": dear, "max_cost": max_cost}
    tables = look(conn, rules, run=run, now=now, mode=mode, reader=reader, **limits)
    outcomes = [outcome for one in tables for outcome in one.outcomes]
    with run.batch(conn) as batch:
        judged = results.judge(conn, outcomes, now=now)
        high_keys = {one.dataset: one.high_key for one in tables}
        results.keep(conn, judged, run_id=run.id, now=now, high_keys=high_keys)
        tell.tell(conn, judged, run)
        tell.left_out(conn, {one.dataset: one.refusal for one in tables}, run)
        for outcome in outcomes:
            tell.guard(conn, outcome, run)
        if known is not None:
            tell.retire(conn, known, run)
        name = f"quality/{run.window.label}/run-{run.id}-g{run.generation}-f{run.fence}"
        details = _details(tables, judged, now)
        stored = keeper.put(conn, SOURCE, "quality-result", f"{name}.json", details)
        drawn = _page(conn, rules, run, now, stops)
        keeper.put(conn, SOURCE, "quality-page", f"{name}.html", drawn)
        batch.progress(len(tables), len(tables), "tables")
        found = report(tables, judged, stored.name)
        batch.report = found
    return found


def _page(
    conn: Connection, rules: Sequence[Rule], run: Run, now: datetime, stops: Sequence[str]
) -> bytes:
    """Draw the rules that were asked now, with their past."""
    past = results.history(conn, now=now, days=page.TREND_DAYS, limit=page.MAX_ANSWERS)
    names = {one.source.name for one in rules}
    shut = gates.closed(conn, names)
    return page.page(rules, past, now=now, run_id=run.id, gates=shut, stops=stops)


def report(
    tables: Sequence[Checked], judged: Sequence[Judged], artifact: str | None = None
) -> QualityReport:
    """Sum up what came of asking; `artifact` is where the details stand."""
    outcomes = [one.outcome for one in judged]
    worst = worst_first(outcomes)
    counts: dict[str, int] = {}
    for one in worst:
        counts[one.rule.severity.value] = counts.get(one.rule.severity.value, 0) + 1
    return QualityReport(
        rows=sum(one.rows for one in tables),
        rules=len(outcomes),
        scans=sum(one.statements for one in tables),
        findings=tuple(_finding(one) for one in worst[:EVIDENCE_FINDINGS]),
        findings_by_severity=counts,
        unusual=tuple(one.outcome.rule.id for one in judged if one.is_unusual)[:EVIDENCE_FINDINGS],
        waiting=sum(one.status is Status.WAITING for one in outcomes),
        left_out=tuple(one.dataset for one in tables if one.refusal),
        scores={
            name: round(score, 1)
            for (name, dimension), score in scores(points(outcomes)).items()
            if dimension is None
        },
        artifact=artifact,
    )


def points(outcomes: Iterable[Outcome]) -> list[Point]:
    """Return what counts for a score: a broken rule counts as failed, a waiting one not at all."""
    return [
        Point(
            one.rule.source.name,
            one.rule.dimension,
            one.rule.severity,
            1.0 if one.status is Status.BROKEN else one.share,
        )
        for one in outcomes
        if one.status is not Status.WAITING
    ]


def _finding(one: Outcome) -> Finding:
    return Finding(
        one.rule.id,
        one.rule.severity.value,
        one.failed,
        round(one.share, 6),
        one.keys[:EVIDENCE_KEYS],
        one.detail,
    )


def _details(tables: Sequence[Checked], judged: Sequence[Judged], now: datetime) -> bytes:
    """What was checked, by which version of each rule, and what came of it."""
    body = {
        "checked_at": now.isoformat(),
        "tables": [
            {"dataset": one.dataset, "rows": one.rows, "statements": one.statements}
            for one in tables
        ],
        "rules": [_told(one) for one in judged],
    }
    return json.dumps(body, indent=1).encode()


def _told(one: Judged) -> dict[str, Any]:
    outcome, rule = one.outcome, one.outcome.rule
    return {
        "id": rule.id,
        "version": rule.version,
        "dimension": rule.dimension.value,
        "severity": rule.severity.value,
        "description": rule.text,
        "status": outcome.status.value,
        "rows": outcome.rows,
        "failed": outcome.failed,
        "share": round(outcome.share, 6),
        "value": outcome.value,
        "sample_keys": list(outcome.keys),
        "is_unusual": one.is_unusual,
        "detail": outcome.detail,
    }
