"""Check all rules of a table in one scan; sample keys for the rules that failed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, TextClause, column, func, select, table, text

from ocd.datasets.facts import Dataset
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.quality.rules import Rule

log = logging.getLogger(__name__)

SOURCE = "quality.check"
SAMPLE_KEYS = 20
#: Keys per rule that the ledger keeps; the artifact has all sampled ones.
EVIDENCE_KEYS = 5


@dataclass(frozen=True)
class Finding:
    """A rule that rows fail: how many, what share, and keys of some of them."""

    rule: str
    severity: str
    failed: int
    share: float
    sample_keys: tuple[int, ...]


@dataclass(frozen=True)
class QualityReport:
    """What was checked and found; `scans` counts statements that read a whole table."""

    version: ClassVar[int] = 1
    rows: int
    rules: int
    scans: int
    findings: tuple[Finding, ...]
    artifact: str

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.findings:
            return f"{self.rules} rules over {self.rows:,} rows: nothing found"
        worst = ", ".join(f"{one.rule} {one.failed:,}" for one in self.findings[:3])
        return f"{self.rules} rules over {self.rows:,} rows: {len(self.findings)} with findings ({worst})"


def check(
    conn: Connection, rules: Iterable[Rule], *, run: Run, keeper: Keeper, now: datetime
) -> QualityReport:
    """Check the rules in one snapshot, one scan per table. Commits once; findings are results."""
    by_dataset: dict[str, list[Rule]] = {}
    for rule in rules:
        by_dataset.setdefault(rule.dataset.name, []).append(rule)
    if conn.in_transaction():
        conn.rollback()
    conn.execute(text("set transaction isolation level repeatable read read only"))
    conn.execute(text("set local row_security = off"))
    rows, findings = 0, []
    for name, group in by_dataset.items():
        scanned, found = _check_table(conn, group, now)
        rows += scanned
        findings += found
        log.info("checked", extra={"dataset": name, "rows": scanned, "findings": len(found)})
    conn.rollback()
    findings.sort(key=lambda one: -one.failed)
    count = sum(map(len, by_dataset.values()))
    with run.batch(conn) as batch:
        stored = keeper.put(
            conn,
            SOURCE,
            "quality-result",
            f"quality/{run.window.label}/run-{run.id}-g{run.generation}.json",
            _details(rules_of=by_dataset, findings=findings, rows=rows),
        )
        batch.progress(len(by_dataset), len(by_dataset), "tables")
    kept = tuple(
        Finding(one.rule, one.severity, one.failed, one.share, one.sample_keys[:EVIDENCE_KEYS])
        for one in findings
    )
    return QualityReport(rows, count, len(by_dataset), kept, stored.name)


def _check_table(conn: Connection, rules: list[Rule], now: datetime) -> tuple[int, list[Finding]]:
    dataset = rules[0].dataset
    counts = [
        func.count().filter(_broken(rule)).label(f"r{number}") for number, rule in enumerate(rules)
    ]
    row = conn.execute(
        select(func.count().label("n"), *counts).select_from(_table(dataset)), _bound(rules, now)
    ).one()
    found = [
        Finding(
            rule.id, rule.severity.value, failed, round(failed / row.n, 6), _sample(conn, rule, now)
        )
        for rule, failed in zip(rules, row[1:], strict=True)
        if failed
    ]
    return int(row.n), found


def _table(dataset: Dataset) -> Any:
    return table(dataset.relation, column(dataset.key), schema=dataset.schema)


def _broken(rule: Rule) -> TextClause:
    return text(f"not coalesce(({rule.condition}), true)")


def _bound(rules: Iterable[Rule], now: datetime) -> dict[str, datetime]:
    return {"now": now} if any(":now" in rule.condition for rule in rules) else {}


def _sample(conn: Connection, rule: Rule, now: datetime) -> tuple[int, ...]:
    source = _table(rule.dataset)
    key = source.c[rule.dataset.key]
    query = select(key).select_from(source).where(_broken(rule)).order_by(key).limit(SAMPLE_KEYS)
    return tuple(conn.execute(query, _bound([rule], now)).scalars())


def _details(*, rules_of: dict[str, list[Rule]], findings: list[Finding], rows: int) -> bytes:
    body = {
        "rows": rows,
        "rules": [
            {
                "id": rule.id,
                "version": rule.version,
                "dimension": rule.dimension.value,
                "severity": rule.severity.value,
                "text": rule.text,
            }
            for group in rules_of.values()
            for rule in group
        ],
        "findings": [asdict(one) for one in findings],
    }
    return json.dumps(body, indent=1).encode()
