"""Facts about the ledger's details: attempts and log lines. The run they belong to stays for ever."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ
from ocd.datasets.facts import Access, Column, Dataset, Feed, Retention, RetentionRule, Verb

#: As long as agents' work is audited: domain owners keep audit trails 90 days.
DETAIL_WINDOW = timedelta(days=90)

ATTEMPT = Dataset(
    name="ledger_attempt",
    table="ocd.attempt",
    description="Every time a worker took a run.",
    owner="engineering",
    grain="one row per run and fence",
    key="id",
    event_time="started_at",
    columns=(
        Column("run_id", "bigint", "The run that was attempted.", nullable=False),
        Column(
            "fence", "bigint", "Its fence: who holds a lower one can write nothing.", nullable=False
        ),
        Column("generation", "integer", "Which taking-up of the run.", nullable=False),
        Column("number", "integer", "Which attempt of this generation, from 1.", nullable=False),
        Column("worker", "text", "Host and process that took it.", nullable=False),
        Column(
            "started_at",
            "timestamp with time zone",
            "When it was claimed.",
            nullable=False,
            default="clock_timestamp()",
        ),
        Column("finished_at", "timestamp with time zone", "When it ended; null while it runs."),
        Column("outcome", "text", "What it came to; null while it runs."),
        Column("error_class", "text", "Class of the error that ended it."),
        Column("error_message", "text", "The error in words, without values."),
        Column("traceback", "text", "Places in the code, without values."),
        Column("id", "bigint", "Identity.", nullable=False),
    ),
    retention=Retention(
        (
            RetentionRule("running", "finished_at is null", "started_at", None),
            RetentionRule("ended", None, "finished_at", DETAIL_WINDOW),
        )
    ),
    is_backed_up=True,
    access=(Access("ocd_worker", tuple(Verb)), Access("ocd_reader", READ)),
    feed=Feed(("workers",)),
)

LOG_LINE = Dataset(
    name="ledger_log_line",
    table="ocd.log_line",
    description="Log lines of each attempt; no personal data, no values.",
    owner="engineering",
    grain="one row per line",
    key="id",
    event_time="at",
    columns=(
        Column("id", "bigint", "Identity.", nullable=False),
        Column("run_id", "bigint", "The run that said it.", nullable=False),
        Column("fence", "bigint", "The attempt that said it.", nullable=False),
        Column("at", "timestamp with time zone", "When it was said.", nullable=False),
        Column("level", "text", "info, warning or error.", nullable=False),
        Column("event", "text", "Constant name of the event.", nullable=False),
        Column(
            "fields",
            "jsonb",
            "Its facts: counts and keys, no values of rows.",
            nullable=False,
            default="'{}'::jsonb",
        ),
    ),
    retention=Retention((RetentionRule("all", None, "at", DETAIL_WINDOW),)),
    is_backed_up=True,
    access=(
        Access("ocd_worker", (Verb.SELECT, Verb.INSERT, Verb.DELETE)),
        Access("ocd_reader", READ),
    ),
    feed=Feed(("workers",)),
)
