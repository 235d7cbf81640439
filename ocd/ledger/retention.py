"""Policy rows: retention that an owner lengthened. None can shorten what the dataset's own rules say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError, PolicyRefused, UnknownName
from ocd.datasets.facts import Dataset, RetentionRule


def lengthened(conn: Connection, dataset: str) -> dict[str, timedelta]:
    """Return rule → period of the policy rows that count now."""
    rows = conn.execute(
        text(
            "select rule, keep_days from ocd.retention_policy where dataset = :dataset and unset_at is null"
        ),
        {"dataset": dataset},
    )
    return {row.rule: timedelta(days=row.keep_days) for row in rows}


def lengthen(
    conn: Connection, dataset: Dataset, rule: str, days: int, *, reason: str, set_by: str
) -> None:
    """Keep a rule's rows for so many days, instead of what counted before. The caller commits.

    Raises PolicyRefused for fewer days than the rule's own, ConfigError for a rule that never expires.
    """
    own = _rule(dataset, rule)
    if own.keep is None:
        raise ConfigError(f"{dataset.name}: rows of rule {rule} are kept for ever already")
    if timedelta(days=days) < own.keep:
        raise PolicyRefused(
            f"{dataset.name}: rule {rule} keeps {own.keep.days} days; a policy row can only lengthen that. "
            f"To delete earlier once: `ocd run lifecycle.purge --dataset {dataset.name} --days {days}`, "
            "which needs an approval; for good, change the dataset"
        )
    if not reason.strip():
        raise ConfigError("--reason: say why, for whoever reads it later")
    _end(conn, dataset.name, rule, set_by)
    conn.execute(
        text("""
            insert into ocd.retention_policy (dataset, rule, keep_days, reason, set_by)
            values (:dataset, :rule, :days, :reason, :set_by)
        """),
        {
            "dataset": dataset.name,
            "rule": rule,
            "days": days,
            "reason": reason.strip(),
            "set_by": set_by,
        },
    )


def restore(conn: Connection, dataset: Dataset, rule: str, *, unset_by: str) -> None:
    """Let a rule's own period count again; raises ConfigError where it does already. The caller commits."""
    if not _end(conn, dataset.name, rule, unset_by):
        raise ConfigError(
            f"{dataset.name}: no policy row lengthens rule {rule}; see `ocd policy list`"
        )


def policy_rows(conn: Connection, *, with_unset: bool = False) -> list[dict[str, Any]]:
    """Return policy rows, oldest first."""
    rows = conn.execute(
        text("select * from ocd.retention_policy where :all or unset_at is null order by id"),
        {"all": with_unset},
    )
    return [dict(row) for row in rows.mappings()]


def _end(conn: Connection, dataset: str, rule: str, unset_by: str) -> bool:
    done = conn.execute(
        text("""
            update ocd.retention_policy set unset_at = clock_timestamp(), unset_by = :unset_by
            where dataset = :dataset and rule = :rule and unset_at is null
        """),
        {"dataset": dataset, "rule": rule, "unset_by": unset_by},
    )
    return bool(done.rowcount)


def _rule(dataset: Dataset, name: str) -> RetentionRule:
    rules = dataset.retention.rules if dataset.retention else ()
    if not rules:
        raise ConfigError(f"{dataset.name} is kept for ever; there is nothing to lengthen")
    for rule in rules:
        if rule.name == name:
            return rule
    raise UnknownName("rule", name, (rule.name for rule in rules))
