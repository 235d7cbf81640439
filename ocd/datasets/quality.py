"""Facts about what quality checks found."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ
from ocd.datasets.columns import ID, INSTANT
from ocd.datasets.facts import Access, Column, Dataset, Feed, Retention, RetentionRule, Verb

#: Long enough to compare a season with the one a year before.
RESULT_WINDOW = timedelta(days=400)

QUALITY_RESULT = Dataset(
    name="quality_result",
    table="ocd.quality_result",
    description="What came of asking each quality rule; counts and keys, no values of rows.",
    owner="engineering",
    grain="one row per run, attempt and rule",
    key="id",
    event_time="checked_at",
    columns=(
        ID,
        Column("run_id", "bigint", "The run that asked.", nullable=False),
        Column("checked_at", INSTANT, "The instant that was looked at.", nullable=False),
        Column("dataset", "text", "Table that was asked about.", nullable=False),
        Column("rule", "text", "Rule that was asked.", nullable=False),
        Column("rule_version", "text", "Fingerprint of what it said.", nullable=False),
        Column("dimension", "text", "Side of quality that it looks at.", nullable=False),
        Column("severity", "text", "How much a finding matters.", nullable=False),
        Column("status", "text", "passed, failed, proven, broken or waiting.", nullable=False),
        Column(
            "is_only_new",
            "boolean",
            "Whether only rows above the highest known key were asked.",
            nullable=False,
            default="false",
        ),
        Column("asked_rows", "bigint", "How many rows were asked.", nullable=False),
        Column("failed_rows", "bigint", "How many of them failed.", nullable=False),
        Column("share", "double precision", "Share that failed.", nullable=False),
        Column("value", "double precision", "What was measured; null for rules about rows."),
        Column(
            "usual_low", "double precision", "Least usual number; null while too little is known."
        ),
        Column("usual_high", "double precision", "Largest usual number."),
        Column(
            "is_unusual",
            "boolean",
            "Whether the number lies outside what is usual.",
            nullable=False,
            default="false",
        ),
        Column(
            "sample_keys",
            "bigint[]",
            "Keys of some failing rows.",
            nullable=False,
            default="'{}'::bigint[]",
        ),
        Column("high_key", "bigint", "Highest key of the table at that instant."),
        Column("took_ms", "double precision", "How long the statement took.", nullable=False),
        Column("detail", "text", "Why a rule is broken or waiting; columns that differ."),
    ),
    retention=Retention((RetentionRule("all", None, "checked_at", RESULT_WINDOW),)),
    is_backed_up=True,
    access=(
        Access("ocd_worker", (Verb.SELECT, Verb.INSERT, Verb.DELETE)),
        Access("ocd_reader", READ),
    ),
    feed=Feed(("workers",)),
)
