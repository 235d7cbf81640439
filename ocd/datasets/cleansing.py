"""Facts about what a cleansing changed. It holds what stood in the rows, so it goes as soon as it may."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import WORKER
from ocd.datasets.columns import ID, INSTANT
from ocd.datasets.facts import Column, Dataset, Feed, Pii, Retention, RetentionRule

#: As long as agents' own rows: what was mended in them must not outlive them.
CHANGE_WINDOW = timedelta(days=30)

CLEANSING_CHANGE = Dataset(
    name="cleansing_change",
    table="ocd.cleansing_change",
    description="Every value that a cleansing mended, before and after, until it can no longer be taken back.",
    owner="engineering",
    grain="one row per run and mended row",
    key="id",
    event_time="changed_at",
    columns=(
        ID,
        Column("run_id", "bigint", "The run that mended it.", nullable=False),
        Column("dataset", "text", "Dataset of the row.", nullable=False),
        Column("row_key", "bigint", "Key of the row.", nullable=False),
        Column(
            "conversation_id",
            "text",
            "Chatwoot conversation the row belongs to; null where its table knows none.",
            Pii.ID,
        ),
        Column(
            "before",
            "jsonb",
            "Each mended column as it was, as text.",
            Pii.DIRECT,
            nullable=False,
        ),
        Column(
            "after",
            "jsonb",
            "Each mended column as it became, as text.",
            Pii.DIRECT,
            nullable=False,
        ),
        Column(
            "changed_at",
            INSTANT,
            "When it was mended.",
            nullable=False,
            default="clock_timestamp()",
        ),
        Column("reverted_at", INSTANT, "When it was taken back; null while it stands."),
        Column("reverted_by_run_id", "bigint", "The run that took it back."),
    ),
    retention=Retention((RetentionRule("all", None, "changed_at", CHANGE_WINDOW),)),
    is_backed_up=True,
    access=WORKER,
    feed=Feed(("workers",)),
)
