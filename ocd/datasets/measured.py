"""Facts about what quality remembers: profiles, completeness, consistency. Numbers, no people."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ
from ocd.datasets.columns import ID, INSTANT
from ocd.datasets.facts import Access, Column, Dataset, Feed, Retention, RetentionRule, Verb

#: Long enough to compare a week with the same one a year before.
MEASURED_WINDOW = timedelta(days=400)

_ACCESS = (
    Access("ocd_worker", (Verb.SELECT, Verb.INSERT, Verb.DELETE)),
    Access("ocd_reader", READ),
)
_FEED = Feed(("workers",))

COLUMN_PROFILE = Dataset(
    name="column_profile",
    table="ocd.column_profile",
    description="What each column looked like at each profile: aggregates, no values of people.",
    owner="engineering",
    grain="one row per run, dataset and column",
    key="id",
    event_time="profiled_at",
    columns=(
        ID,
        Column("run_id", "bigint", "The run that measured it.", nullable=False),
        Column("dataset", "text", "Dataset that was profiled.", nullable=False),
        Column("column_name", "text", "Column of it.", nullable=False),
        Column("rows", "bigint", "Rows of the table.", nullable=False),
        Column("nulls", "bigint", "Rows without a value.", nullable=False),
        Column(
            "stats",
            "jsonb",
            "Further aggregates; values only where the column holds no personal data.",
            nullable=False,
        ),
        Column("profiled_at", INSTANT, "When.", nullable=False),
    ),
    retention=Retention((RetentionRule("all", None, "profiled_at", MEASURED_WINDOW),)),
    is_backed_up=True,
    access=_ACCESS,
    feed=_FEED,
)

COMPLETENESS = Dataset(
    name="completeness",
    table="ocd.completeness",
    description="How many rows each hour brought, and how many were expected.",
    owner="engineering",
    grain="one row per dataset and hour",
    key="id",
    event_time="hour_at",
    columns=(
        ID,
        Column("run_id", "bigint", "The run that counted.", nullable=False),
        Column("dataset", "text", "Dataset that was counted.", nullable=False),
        Column("hour_at", INSTANT, "Begin of the hour that the rows belong to.", nullable=False),
        Column("seen", "bigint", "Rows that are there.", nullable=False),
        Column(
            "expected",
            "numeric",
            "Rows that the same hour of earlier weeks lets expect; null while too few are known.",
        ),
        Column("least", "numeric", "Fewer than this are unusually few."),
        Column(
            "nulls",
            "jsonb",
            "Per column that may be null: how many of the rows lack a value.",
            nullable=False,
        ),
    ),
    retention=Retention((RetentionRule("all", None, "hour_at", MEASURED_WINDOW),)),
    is_backed_up=True,
    access=_ACCESS,
    feed=_FEED,
)

CONSISTENCY = Dataset(
    name="consistency",
    table="ocd.consistency",
    description="What each check between tables found.",
    owner="engineering",
    grain="one row per check and time that it was made",
    key="id",
    event_time="checked_at",
    columns=(
        ID,
        Column("run_id", "bigint", "The run that checked; null for a comparison by hand."),
        Column(
            "check_name",
            "text",
            "Reference, reconciliation or copy that was checked.",
            nullable=False,
        ),
        Column("checked", "bigint", "Rows or figures that were compared.", nullable=False),
        Column(
            "broken",
            "bigint",
            "How many of them have no counterpart, or another value there.",
            nullable=False,
        ),
        Column("sample_keys", "bigint[]", "Keys of some of the rows.", nullable=False),
        Column("figures", "jsonb", "The two sides of a reconciliation.", nullable=False),
        Column("checked_at", INSTANT, "When.", nullable=False),
    ),
    retention=Retention((RetentionRule("all", None, "checked_at", MEASURED_WINDOW),)),
    is_backed_up=True,
    access=_ACCESS,
    feed=_FEED,
)
