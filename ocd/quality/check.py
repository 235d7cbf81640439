"""Check rules in one snapshot, remember what came of it, tell people, close and open gates."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, text

from ocd.ledger import gates, incidents
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.quality import apart, cost, page, results
from ocd.quality.apart import Reader
from ocd.quality.policy import (
    Known,
    Mode,
    Outcome,
    Plan,
    Point,
    Status,
    only_new,
    plan,
    scores,
    worst_first,
)
from ocd.quality.results import Judged
from ocd.quality.rule import Kind, Rule, Severity
from ocd.quality.scan import View, scan

log = logging.getLogger(__name__)

SOURCE = "quality.check"
HOW_TO = "docs/how-to/check-quality.md"
#: What causes of incidents and gates begin with; the rule's id follows.
_CAUSE, _UNUSUAL = "quality:", "quality-unusual:"
#: Findings, and keys of each, that the ledger's row keeps; the table of results has all.
EVIDENCE_FINDINGS = 40
EVIDENCE_KEYS = 5
_GRAVITY = {Severity.WARN: "warning", Severity.ERROR: "error", Severity.BLOCK: "critical"}


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


@dataclass(frozen=True)
class QualityReport:
    """What was checked and found, worst first; `scans` counts statements that read the tables."""

    version: ClassVar[int] = 2
    rows: int
    rules: int
    scans: int
    findings: tuple[Finding, ...]
    findings_by_severity: dict[str, int]
    unusual: tuple[str, ...]
    waiting: int
    scores: dict[str, float]
    artifact: str

    @property
    def summary(self) -> str:
        """One line for people."""
        checked = f"{self.rules} rules over {self.rows:,} rows"
        if not self.findings:
            return f"{checked}: nothing found"
        worst = ", ".join(f"{one.rule} {one.failed:,}" for one in self.findings[:3])
        count = sum(self.findings_by_severity.values())
        return f"{checked}: {count} with findings ({worst})"


@dataclass(frozen=True)
class Checked:
    """One table: what came of its rules, rows looked at, its highest key, statements that it took."""

    dataset: str
    outcomes: tuple[Outcome, ...]
    rows: int = 0
    high_key: int | None = None
    statements: int = 0


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
    stops: Sequence[str] = (),
    known: Collection[str] | None = None,
) -> QualityReport:
    """Check the rules in one snapshot, each table's in one scan, and remember what came of it.

    Findings are results: data that breaks every rule is reported, never raised. Keys of some failing
    rows are kept; no other value leaves the tables. `reader` is the read-only login for rules written
    as a statement; `stops` names the jobs that a closed gate holds back; `known` every rule that
    there is: what others once found is over. Commits once, after the snapshot is closed.
    """
    tables = look(conn, rules, run=run, now=now, mode=mode, reader=reader, dear=dear)
    outcomes = [outcome for one in tables for outcome in one.outcomes]
    with run.batch(conn) as batch:
        judged = results.judge(conn, outcomes, now=now)
        high_keys = {one.dataset: one.high_key for one in tables}
        results.keep(conn, judged, run_id=run.id, now=now, high_keys=high_keys)
        _tell(conn, judged, run)
        for outcome in outcomes:
            _guard(conn, outcome, run)
        if known is not None:
            _retire(conn, known, run)
        name = f"quality/{run.window.label}/run-{run.id}-g{run.generation}-f{run.fence}"
        details = _details(tables, judged, now)
        stored = keeper.put(conn, SOURCE, "quality-result", f"{name}.json", details)
        drawn = _page(conn, rules, run, now, stops)
        keeper.put(conn, SOURCE, "quality-page", f"{name}.html", drawn)
        batch.progress(len(tables), len(tables), "tables")
    return _report(tables, judged, stored.name)


def look(
    conn: Connection,
    rules: Sequence[Rule],
    *,
    run: Run | None,
    now: datetime,
    mode: Mode,
    reader: Engine | None,
    dear: float | None = None,
) -> list[Checked]:
    """Ask the rules in one read-only snapshot that is closed again; changes nothing."""
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    # A login that row security would filter gets an error, not a clean bill for rows unseen.
    conn.execute(text("set local row_security = off"))
    snapshot = conn.execute(text("select pg_export_snapshot()")).scalar_one()
    with_login = None if reader is None else Reader(reader, snapshot)
    view = View(now, results.proofs(conn))
    known = results.known(conn, now=now)
    plans = plan(rules, view.proofs)
    tables = []
    for number, one in enumerate(plans):
        if run is not None:
            run.progress(number, len(plans), one.source.name)
        before = known.get(one.source.name, Known())
        tables.append(_table(conn, one, _view(conn, one, view, before, mode, dear), with_login))
    conn.rollback()
    return tables


def _view(
    conn: Connection, one: Plan, view: View, before: Known, mode: Mode, dear: float | None
) -> View:
    """Decide which rows are looked at; the planner is asked only where that may matter."""
    if not one.scan or before.high_key is None or mode is Mode.FULL:
        return view
    total = cost.of(conn, one.source, one.scan, view)
    limit = {} if dear is None else {"dear": dear}
    is_new = only_new(mode, before, cost=total, now=view.now, **limit)
    return replace(view, above=before.high_key) if is_new else view


def _table(conn: Connection, one: Plan, view: View, reader: Reader | None) -> Checked:
    """Ask everything of one table."""
    is_new = view.above is not None
    outcomes = [Outcome(rule, Status.PROVEN) for rule in one.proven]
    later = [rule for rule in (*one.scan, *one.apart) if is_new and _needs_every_row(rule)]
    outcomes += [
        Outcome(rule, Status.WAITING, detail="asked of all rows, once a week") for rule in later
    ]
    asked = [rule for rule in one.scan if rule not in later]
    rows, high_key, statements = 0, view.above, 0
    if asked:
        scanned = scan(conn, one.source, asked, view)
        rows, statements = scanned.rows, scanned.statements
        high_key = scanned.high_key if scanned.high_key is not None else view.above
        outcomes += scanned.outcomes
    for rule in one.apart:
        if rule not in later:
            outcome, more = apart.ask(conn, rule, view, reader, rows=rows)
            outcomes.append(outcome)
            statements += more
    log.info("checked", extra={"dataset": one.source.name, "rows": rows, "only_new": is_new})
    return Checked(one.source.name, tuple(outcomes), rows, high_key, statements)


def _needs_every_row(rule: Rule) -> bool:
    return rule.is_of_table or rule.kind in {Kind.UNIQUE, Kind.SQL}


def _tell(conn: Connection, judged: Sequence[Judged], run: Run) -> None:
    """Open an incident per finding and per unusual number; close those of what is fine again."""
    fine = []
    for one in judged:
        rule = one.outcome.rule
        if one.outcome.is_finding and rule.severity in _GRAVITY:
            _open(conn, f"{_CAUSE}{rule.id}", said(one.outcome), _GRAVITY[rule.severity], run)
        elif is_cleared(one.outcome):
            fine.append(f"{_CAUSE}{rule.id}")
        if one.is_unusual:
            _open(conn, f"{_UNUSUAL}{rule.id}", unusual(one), "warning", run)
        elif one.number is not None:
            fine.append(f"{_UNUSUAL}{rule.id}")
    incidents.close_all(conn, fine)


def _open(conn: Connection, cause: str, summary: str, severity: str, run: Run) -> None:
    incidents.open_finding(
        conn, cause, run_id=run.id, summary=summary, severity=severity, how_to=HOW_TO
    )


def unusual(one: Judged) -> str:
    """Say in words what is unusual."""
    low, high = (one.usual.low, one.usual.high) if one.usual else (0, 0)
    return f"{one.outcome.rule.id} is {one.number:g}, usual is {low:g} to {high:g}"


def _guard(conn: Connection, outcome: Outcome, run: Run) -> None:
    """Close the gate of a table that fails a blocking rule; open it where all rows are fine again.

    A blocking rule that is broken proves nothing, so it closes the gate, too.
    """
    rule = outcome.rule
    cause = f"{_CAUSE}{rule.id}"
    if rule.severity is Severity.BLOCK and outcome.is_finding:
        gates.close(conn, rule.source.name, cause, run_id=run.id, summary=said(outcome))
    elif rule.severity is Severity.BLOCK and is_cleared(outcome):
        gates.open_again(conn, rule.source.name, cause, run_id=run.id)


def _retire(conn: Connection, known: Collection[str], run: Run) -> None:
    """Close incidents and open gates of rules that are no more: nothing would ever ask them again."""
    for prefix in (_CAUSE, _UNUSUAL):
        causes = incidents.open_causes(conn, prefix)
        incidents.close_all(conn, [one for one in causes if one.removeprefix(prefix) not in known])
    for gate in gates.closed(conn):
        cause = str(gate["cause"])
        if cause.startswith(_CAUSE) and cause.removeprefix(_CAUSE) not in known:
            gates.open_again(conn, gate["dataset"], cause, run_id=run.id)


def _page(
    conn: Connection, rules: Sequence[Rule], run: Run, now: datetime, stops: Sequence[str]
) -> bytes:
    """Draw the rules that were asked now, with their past."""
    past = results.history(conn, now=now, days=page.TREND_DAYS, limit=page.MAX_ANSWERS)
    names = {one.source.name for one in rules}
    shut = gates.closed(conn, names)
    return page.page(rules, past, now=now, run_id=run.id, gates=shut, stops=stops)


def is_cleared(outcome: Outcome) -> bool:
    """Whether nothing in the table fails the rule: all rows were asked, or a constraint holds it."""
    return outcome.status is Status.PROVEN or (
        outcome.status is Status.PASSED and not outcome.is_only_new
    )


def said(outcome: Outcome) -> str:
    """Say a finding in words, without values of rows."""
    rule = outcome.rule
    if outcome.status is Status.BROKEN:
        return f"{rule.id} could not be asked: {outcome.detail}"
    what = f"{outcome.failed:,} of {outcome.rows:,} rows"
    if rule.is_of_table:
        what = outcome.detail or f"measured {outcome.value:g}"
    return f"{rule.id}: {what} fail “{rule.text}”"


def _report(tables: Sequence[Checked], judged: Sequence[Judged], artifact: str) -> QualityReport:
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
