"""Check all rules of a table in one scan; sample keys for the rules that failed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    TableClause,
    case,
    column,
    func,
    literal_column,
    not_,
    select,
    table,
    text,
)

from ocd.datasets.facts import Dataset
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.quality.rules import Grain, Rule, Severity

log = logging.getLogger(__name__)

SOURCE = "quality.check"
#: Keys of failing rows that the artifact holds per rule.
SAMPLE_KEYS = 20
#: Keys per rule that the ledger keeps.
EVIDENCE_KEYS = 5

_WORST_FIRST = tuple(reversed(Severity))


@dataclass(frozen=True)
class Finding:
    """A rule that data fails: how many rows, what share of them, and keys of some.

    A rule about the table as a whole fails once, with share 1 and no keys.
    """

    rule: str
    severity: str
    failed: int
    share: float
    sample_keys: tuple[int, ...]


@dataclass(frozen=True)
class QualityReport:
    """What was checked and found, worst first; `scans` counts statements that read the tables."""

    version: ClassVar[int] = 1
    rows: int
    rules: int
    scans: int
    findings: tuple[Finding, ...]
    artifact: str

    @property
    def summary(self) -> str:
        """One line for people."""
        checked = f"{self.rules} rules over {self.rows:,} rows"
        if not self.findings:
            return f"{checked}: nothing found"
        worst = ", ".join(f"{one.rule} {one.failed:,}" for one in self.findings[:3])
        return f"{checked}: {len(self.findings)} with findings ({worst})"


@dataclass(frozen=True)
class _Checked:
    """One table: rows that were scanned, statements that it took, what was found."""

    dataset: str
    rows: int
    scans: int
    findings: list[Finding]


def check(
    conn: Connection, rules: Iterable[Rule], *, run: Run, keeper: Keeper, now: datetime
) -> QualityReport:
    """Check the rules in one snapshot, each table's in one scan.

    Findings are results: data that breaks every rule is reported, never raised. Keys of up to
    SAMPLE_KEYS failing rows per rule go into the artifact; no other value leaves the tables.
    Commits once, after the snapshot is closed.
    """
    groups: dict[Dataset, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.dataset, []).append(rule)
    tables = _check_tables(conn, groups, now)
    findings = sorted(
        (one for checked in tables for one in checked.findings),
        key=lambda one: (_WORST_FIRST.index(Severity(one.severity)), -one.failed, one.rule),
    )
    with run.batch(conn) as batch:
        stored = keeper.put(
            conn,
            SOURCE,
            "quality-result",
            f"quality/{run.window.label}/run-{run.id}-g{run.generation}-f{run.fence}.json",
            _details(groups, tables, findings, now),
        )
        batch.progress(len(tables), len(tables), "tables")
    return QualityReport(
        rows=sum(checked.rows for checked in tables),
        rules=sum(map(len, groups.values())),
        scans=sum(checked.scans for checked in tables),
        findings=tuple(
            replace(one, sample_keys=one.sample_keys[:EVIDENCE_KEYS]) for one in findings
        ),
        artifact=stored.name,
    )


def _check_tables(
    conn: Connection, groups: dict[Dataset, list[Rule]], now: datetime
) -> list[_Checked]:
    """Look at every table in one read-only snapshot, which is closed again."""
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    # A login that row security would filter gets an error, not a clean bill for rows unseen.
    conn.execute(text("set local row_security = off"))
    tables = [_check_table(conn, dataset, rules, now) for dataset, rules in groups.items()]
    conn.rollback()
    for one in tables:
        log.info(
            "checked",
            extra={"dataset": one.dataset, "rows": one.rows, "findings": len(one.findings)},
        )
    return tables


def _check_table(conn: Connection, dataset: Dataset, rules: list[Rule], now: datetime) -> _Checked:
    source = _source(dataset)
    counts = [_count_of(rule).label(f"r{number}") for number, rule in enumerate(rules)]
    query = select(func.count().label("n"), *counts).select_from(source)
    rows, *failures = conn.execute(query, {"now": now}).one()
    findings, scans = [], 1
    for rule, failed in zip(rules, failures, strict=True):
        if not failed:
            continue
        keys: tuple[int, ...] = ()
        if rule.grain is Grain.ROW:
            keys, scans = _sample(conn, rule, now), scans + 1
        of = rows if rule.grain is Grain.ROW else 1
        findings.append(Finding(rule.id, rule.severity.value, failed, round(failed / of, 6), keys))
    return _Checked(dataset.name, rows, scans, findings)


def _source(dataset: Dataset) -> TableClause:
    return table(dataset.relation, column(dataset.key), schema=dataset.schema)


def _is_broken(rule: Rule) -> ColumnElement[bool]:
    """True where the condition is false; unknown passes."""
    return not_(func.coalesce(text(f"({rule.condition})"), literal_column("true")))


def _count_of(rule: Rule) -> ColumnElement[int]:
    if rule.grain is Grain.TABLE:
        return case((_is_broken(rule), 1), else_=0)
    return func.count().filter(_is_broken(rule))


def _sample(conn: Connection, rule: Rule, now: datetime) -> tuple[int, ...]:
    source = _source(rule.dataset)
    key = source.c[rule.dataset.key]
    query = select(key).select_from(source).where(_is_broken(rule)).order_by(key).limit(SAMPLE_KEYS)
    return tuple(conn.execute(query, {"now": now}).scalars())


def _details(
    groups: dict[Dataset, list[Rule]],
    tables: list[_Checked],
    findings: list[Finding],
    now: datetime,
) -> bytes:
    """What was checked, by which version of each rule, and every finding with its keys."""
    body = {
        "checked_at": now.isoformat(),
        "tables": [{"dataset": one.dataset, "rows": one.rows} for one in tables],
        "rules": [_said(rule) for rules in groups.values() for rule in rules],
        "findings": [asdict(one) for one in findings],
    }
    return json.dumps(body, indent=1).encode()


def _said(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "version": rule.version,
        "dimension": rule.dimension.value,
        "severity": rule.severity.value,
        "grain": rule.grain.value,
        "description": rule.description,
    }
