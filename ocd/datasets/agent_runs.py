"""Facts about what agents cost and how good their runs were."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ, SERVICES
from ocd.datasets.columns import CREATED_AT, ID, INSTANT
from ocd.datasets.facts import Access, Column, Dataset, Feed, Pii, Retention, RetentionRule

#: Raw runs are kept this long.
RAW_WINDOW = timedelta(days=90)

_STAFF = (Access("monitoring_team", READ), Access("operator_readonly", READ))

AGENT_RUN = Dataset(
    name="agent_run",
    table="public.agent_run",
    description="Every run of an agent: how long, how dear, how it ended.",
    owner="engineering",
    grain="one row per agent run",
    key="id",
    event_time="started_at",
    columns=(
        ID,
        Column(
            "run_id",
            "uuid",
            "Made by the agent itself, so that start and end name the same run.",
            nullable=False,
        ),
        Column("agent_name", "text", "Agent that ran.", nullable=False),
        Column("started_at", INSTANT, "When it started.", nullable=False, default="now()"),
        Column("ended_at", INSTANT, "When it ended; null while it runs."),
        Column("input_kind", "text", "What it was given: a message, an order, a schedule."),
        Column("resolution", "text", "resolved, escalated or failed; null while it runs."),
        Column("tokens_input", "integer", "Tokens read."),
        Column("tokens_output", "integer", "Tokens written."),
        Column("cost_usd", "numeric(10,5)", "What the tokens cost, US dollars."),
        Column(
            "self_corrected",
            "boolean",
            "Whether it mended its own answer.",
            nullable=False,
            default="false",
        ),
        Column("sla_target_seconds", "integer", "How long it may take, seconds."),
        Column(
            "metadata",
            "jsonb",
            "Whatever else the agent says of the run.",
            Pii.TEXT,
            nullable=False,
            default="'{}'::jsonb",
        ),
    ),
    retention=Retention(
        (
            # No cascade takes a mark along without an archive: its run waits until it is gone.
            RetentionRule(
                "marked",
                "exists (select from public.agent_qc q where q.run_id = agent_run.run_id)",
                "started_at",
                None,
            ),
            RetentionRule("raw", None, "started_at", RAW_WINDOW),
        )
    ),
    is_backed_up=True,
    access=(*SERVICES, *_STAFF),
    feed=Feed(("agents",)),
)

AGENT_QC = Dataset(
    name="agent_qc",
    table="public.agent_qc",
    description="Marks that people gave to agent runs.",
    owner="support",
    grain="one row per mark; a run may have several",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("run_id", "uuid", "The run that was marked.", nullable=False),
        Column("quality_score", "smallint", "Mark from 1 to 5.", nullable=False),
        Column("notes", "text", "Free remarks.", Pii.TEXT),
        CREATED_AT,
    ),
    retention=Retention((RetentionRule("raw", None, "created_at", RAW_WINDOW),)),
    is_backed_up=True,
    access=(*SERVICES, *_STAFF, Access("qa_team", READ)),
    feed=Feed(("agent_run",)),
)
